"""Fills a new MLflow database with model versions by MLflow's own table classes in one transaction.

For registries of a size that takes minutes to register over HTTP. The server is started on the database afterwards.

    python populate_registry.py DATABASE <SPECIFICATION

SPECIFICATION is JSON: {"models": ["name", ...], "versions": 3, "tagged": 1500, "tag": "deploy", "runs": true}. Each model
gets versions 1 to `versions`, with a run each if `runs`; the first `tagged` versions, counted over all models version by
version, get the tag with the value true.
"""

import json
import sys
import uuid

from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlModelVersionTag, SqlRegisteredModel
from mlflow.store.tracking.dbmodels.models import SqlRun
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

NOW = 1_700_000_000_000


def finished_run(run_id: str, model: str) -> SqlRun:
    """A run as the client makes it, without which the server refuses to tell of it."""
    return SqlRun(
        run_uuid=run_id,
        name=f"run of {model}"[:250],
        experiment_id=0,
        user_id="data-scientist",
        source_type="UNKNOWN",
        source_name="",
        entry_point_name="",
        source_version="",
        status="FINISHED",
        start_time=NOW,
        end_time=NOW,
        lifecycle_stage="active",
        artifact_uri=f"s3://models/0/{run_id}/artifacts",
    )


def main() -> None:
    database, specification = sys.argv[1], json.load(sys.stdin)
    # Opening it makes the default experiment, which the runs belong to.
    store = SqlAlchemyStore(f"sqlite:///{database}", "mlflow-artifacts:/")
    tagged = specification["tagged"]
    with store.ManagedSessionMaker() as session:
        session.add_all(
            SqlRegisteredModel(name=name, creation_time=NOW, last_updated_time=NOW) for name in specification["models"]
        )
        session.flush()
        for version in range(1, specification["versions"] + 1):
            for name in specification["models"]:
                run_id = uuid.uuid4().hex
                if specification["runs"]:
                    session.add(finished_run(run_id, name))
                source = f"s3://models/{run_id}/artifacts/model"
                session.add(
                    SqlModelVersion(
                        name=name,
                        version=version,
                        creation_time=NOW,
                        last_updated_time=NOW,
                        source=source,
                        storage_location=source,
                        run_id=run_id if specification["runs"] else None,
                    )
                )
                if tagged > 0:
                    tagged -= 1
                    tag = SqlModelVersionTag(name=name, version=version, key=specification["tag"], value="true")
                    session.add(tag)


main()
