"""Sets deploy=true on the version, and takes the tag off the oldest ones beyond those to keep. mlflow-kserve does the rest."""

import os

import mlflow
from versions import deployed_versions, version_from_arguments


def deploy(client, model_name, version, versions_to_keep):
    client.set_model_version_tag(model_name, version, "deploy", "true")
    tagged = deployed_versions(client, model_name)
    # The new one counts as the newest, even when somebody deploys an old version again.
    others = sorted((int(other.version) for other in tagged if str(other.version) != version), reverse=True)
    removed = [str(number) for number in others[max(0, versions_to_keep - 1) :]]
    for number in removed:
        client.delete_model_version_tag(model_name, number, "deploy")
    return removed


if __name__ == "__main__":
    version = version_from_arguments(__doc__)
    model_name = os.environ["MODEL_NAME"]
    removed = deploy(mlflow.MlflowClient(), model_name, version, int(os.environ["VERSIONS_TO_KEEP"]))
    print(f"Tagged {model_name} version {version} with deploy=true")
    if removed:
        print(f"Removed the tag from version {', '.join(removed)}")
