"""Trains a scikit-learn classifier, logs it in a run with its accuracy and registers it as a new version."""

import argparse
import os
from pathlib import Path

import mlflow
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

# evaluate.py makes the same split from it, and tests on what was not trained on.
SPLIT_SEED = 20


def train(model_name):
    features, species = load_iris(return_X_y=True, as_frame=True)
    training_features, _, training_species, _ = train_test_split(
        features, species, test_size=0.3, random_state=SPLIT_SEED, stratify=species
    )
    classifier = LogisticRegression(max_iter=1000).fit(training_features, training_species)
    with mlflow.start_run():
        mlflow.log_param("training_rows", len(training_features))
        mlflow.log_metric("training_accuracy", classifier.score(training_features, training_species))
        logged = mlflow.sklearn.log_model(
            classifier, name="model", registered_model_name=model_name, input_example=training_features.head(2)
        )
    return str(logged.registered_model_version)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version-file", type=Path, required=True, help="where to write the version's number")
    arguments = parser.parse_args()
    version = train(os.environ["MODEL_NAME"])
    arguments.version_file.write_text(version)
    print(f"Registered {os.environ['MODEL_NAME']} version {version}")
