"""Brings MLflow's database to what this version of MLflow needs, and makes the buckets; runs before each server.

Any number of pods may start at once: Postgres lets one of them at a time through.
"""

import os
import subprocess
import time
from urllib.parse import urlparse

import boto3
import psycopg2
from botocore.exceptions import ClientError
from sqlalchemy.engine import make_url

WAIT_SECONDS = 300
# Any number that nothing else in this database uses as the key of an advisory lock.
LOCK = 5_704_311


def until_it_works(what, attempt, errors):
    """Tries again while the other side is still starting."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return attempt()
        except errors as error:
            if time.monotonic() > deadline:
                raise
            print(f"{what} is not there yet: {error}", flush=True)
            time.sleep(3)


def upgrade_database(uri):
    url = make_url(uri)

    def connect():
        return psycopg2.connect(
            host=url.host, port=url.port or 5432, user=url.username, password=url.password, dbname=url.database
        )

    connection = until_it_works("Postgres", connect, psycopg2.OperationalError)
    try:
        connection.autocommit = True
        # The lock goes with the connection, so a pod that dies keeps nobody out.
        connection.cursor().execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        subprocess.run(["mlflow", "db", "upgrade", uri], check=True)
    finally:
        connection.close()


def make_bucket(client, address):
    bucket = urlparse(address).netloc
    try:
        client.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        try:
            client.create_bucket(Bucket=bucket)
        except (client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
            return  # Another pod was faster.
        print(f"Made the bucket {bucket}", flush=True)


if __name__ == "__main__":
    upgrade_database(os.environ["MLFLOW_BACKEND_STORE_URI"])
    store = boto3.client("s3", endpoint_url=os.environ.get("MLFLOW_S3_ENDPOINT_URL"))
    for address in (os.environ["MLFLOW_ARTIFACTS_DESTINATION"], os.environ["BACKUP_DESTINATION"]):
        until_it_works("The object store", lambda: make_bucket(store, address), Exception)
