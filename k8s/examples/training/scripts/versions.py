"""What evaluate.py and deploy.py have in common: the version they are told, and the versions that are deployed."""

import argparse
from pathlib import Path


def version_from_arguments(description):
    parser = argparse.ArgumentParser(description=description)
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--version", help="its number")
    given.add_argument("--version-file", type=Path, help="a file with its number, as train.py writes it")
    arguments = parser.parse_args()
    return arguments.version or arguments.version_file.read_text().strip()


def deployed_versions(client, model_name):
    """All versions of the model that have deploy=true, as MLflow's entities."""
    quote = '"' if "'" in model_name else "'"  # MLflow's filters know no escapes.
    return client.search_model_versions(f"name = {quote}{model_name}{quote} and tag.deploy = 'true'")
