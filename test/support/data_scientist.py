"""What a data scientist does, with MLflow's own Python client.

Reads one JSON command a line, {"do": ..., ...}, and answers each with one line of JSON; so that the client is imported
once, and what is measured is the call.
"""

import json
import logging
import os
import sys
import tempfile
import time

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # Libraries that print must not come between the answers.

import mlflow  # noqa: E402

logging.getLogger("mlflow").setLevel(logging.ERROR)
client = mlflow.MlflowClient()


def train(model):
    """Trains a small scikit-learn model, logs it in a run and registers it: what a notebook does."""
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    features, species = load_iris(return_X_y=True)
    classifier = LogisticRegression(max_iter=500).fit(features, species)
    mlflow.set_experiment("iris")
    with mlflow.start_run() as run:
        mlflow.log_metric("accuracy", classifier.score(features, species))
        logged = mlflow.sklearn.log_model(
            classifier, name="model", registered_model_name=model, input_example=features[:2]
        )
    return {"version": str(logged.registered_model_version), "run_id": run.info.run_id}


def train_by_run(model):
    """As clients of MLflow 2 do: the artifacts are the run's, and the version's source is runs:/<run>/model."""
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    features, species = load_iris(return_X_y=True)
    classifier = LogisticRegression(max_iter=500).fit(features, species)
    mlflow.set_experiment("iris")
    with mlflow.start_run() as run, tempfile.TemporaryDirectory() as folder:
        mlflow.sklearn.save_model(classifier, os.path.join(folder, "model"), input_example=features[:2])
        mlflow.log_artifacts(os.path.join(folder, "model"), "model")
    run_id = run.info.run_id
    client.create_registered_model(model)
    version = client.create_model_version(model, f"runs:/{run_id}/model", run_id).version
    return {"version": str(version), "run_id": run_id}


class AddsUp(mlflow.pyfunc.PythonModel):
    """A model of somebody's own: it adds up the numbers of each row."""

    def predict(self, context, model_input, params=None):
        return model_input.sum(axis=1)


class CannotBeLoaded(mlflow.pyfunc.PythonModel):
    """A model that was logged without what it needs."""

    def load_context(self, context):
        raise RuntimeError(WHY_IT_CANNOT_BE_LOADED)

    def predict(self, context, model_input, params=None):
        return model_input


WHY_IT_CANNOT_BE_LOADED = "the dictionary of this model was left behind"


def log_python_model(model, loads):
    """Logs a pyfunc model and registers it; without `loads` one whose loading fails."""
    import numpy

    mlflow.set_experiment("own models")
    example = numpy.array([[1.0, 2.0, 3.0]])
    signature = mlflow.models.infer_signature(example, example.sum(axis=1))
    with mlflow.start_run() as run:
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=AddsUp() if loads else CannotBeLoaded(),
            signature=signature,
            registered_model_name=model,
            pip_requirements=[],
        )
    return {"version": str(logged.registered_model_version), "run_id": run.info.run_id}


def predict(model, version, rows):
    """What the model itself answers, in this process."""
    import numpy

    loaded = mlflow.pyfunc.load_model(f"models:/{model}/{version}")
    return {"predictions": loaded.predict(numpy.array(rows)).tolist()}


def delete_artifacts(model, version):
    """Deletes the files of a version behind MLflow's back: the version and its tags stay."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    get_artifact_repository(client.get_model_version_download_uri(model, version)).delete_artifacts()
    return {}


def register(model, source, tags):
    """Registers a version from any source, without artifacts."""
    if not client.search_registered_models(filter_string=f"name = {json.dumps(model)}"):
        client.create_registered_model(model)
    return {"version": str(client.create_model_version(model, source, tags=tags).version)}


def set_tag(model, version, key, value):
    client.set_model_version_tag(model, version, key, value)
    return {}


def delete_tag(model, version, key):
    client.delete_model_version_tag(model, version, key)
    return {}


commands = {
    "train": train,
    "train_by_run": train_by_run,
    "log_python_model": log_python_model,
    "predict": predict,
    "delete_artifacts": delete_artifacts,
    "register": register,
    "set_tag": set_tag,
    "delete_tag": delete_tag,
}

print(json.dumps({"ready": True}), file=answers)
for line in sys.stdin:
    command = json.loads(line)
    work = commands[command.pop("do")]
    started_at = time.time() * 1000
    try:
        answer = {**work(**command), "started_at": started_at, "finished_at": time.time() * 1000}
    except Exception as error:  # The other side decides what to do about it.
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), file=answers)
