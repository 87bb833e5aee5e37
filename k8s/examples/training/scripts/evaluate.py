"""The quality gate: loads the version from MLflow, as the server will, and tests it on rows that it was not trained on.

What came out is written on the version, as tags. Ends with code 1 when the version is not good enough.
"""

import os

import mlflow
from sklearn.datasets import load_iris
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from train import SPLIT_SEED
from versions import deployed_versions, version_from_arguments

ACCURACY_TAG = "accuracy"
GATE_TAG = "quality_gate"


def accuracy_of(model_name, version):
    features, species = load_iris(return_X_y=True, as_frame=True)
    _, test_features, _, test_species = train_test_split(
        features, species, test_size=0.3, random_state=SPLIT_SEED, stratify=species
    )
    model = mlflow.pyfunc.load_model(f"models:/{model_name}/{version}")
    return float(accuracy_score(test_species, model.predict(test_features)))


def best_accuracy_that_serves(client, model_name, version):
    """The highest accuracy among the other versions with deploy=true, or None."""
    others = [other for other in deployed_versions(client, model_name) if str(other.version) != version]
    known = [float(other.tags[ACCURACY_TAG]) for other in others if ACCURACY_TAG in other.tags]
    return max(known, default=None)


def reason_to_refuse(accuracy, serving, minimum, tolerated_loss):
    """One sentence, or None when the version may serve."""
    if accuracy < minimum:
        return f"its accuracy {accuracy:.3f} is below the minimum {minimum:.3f}"
    if serving is not None and accuracy < serving - tolerated_loss:
        return f"its accuracy {accuracy:.3f} is more than {tolerated_loss:.3f} below the {serving:.3f} that serves now"
    return None


if __name__ == "__main__":
    version = version_from_arguments(__doc__)
    model_name = os.environ["MODEL_NAME"]
    client = mlflow.MlflowClient()

    accuracy = accuracy_of(model_name, version)
    client.set_model_version_tag(model_name, version, ACCURACY_TAG, f"{accuracy:.4f}")
    refusal = reason_to_refuse(
        accuracy,
        best_accuracy_that_serves(client, model_name, version),
        float(os.environ["MINIMUM_ACCURACY"]),
        float(os.environ["TOLERATED_LOSS"]),
    )
    client.set_model_version_tag(model_name, version, GATE_TAG, "failed" if refusal else "passed")
    if refusal:
        raise SystemExit(f"{model_name} version {version} is not deployed: {refusal}")
    print(f"{model_name} version {version} passed the quality gate: accuracy {accuracy:.3f}")
