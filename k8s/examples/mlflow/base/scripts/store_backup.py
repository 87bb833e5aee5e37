"""Puts a dump into the object store, named after the time, and removes dumps that are older than wanted.

Nothing is removed unless the new dump is there: a backup that fails never costs an old one.
"""

import os
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlparse

import boto3


def store_backup(file, destination, days_to_keep, endpoint):
    address = urlparse(destination)
    bucket, folder = address.netloc, address.path.strip("/")
    prefix = f"{folder}/" if folder else ""
    store = boto3.client("s3", endpoint_url=endpoint)

    size = file.stat().st_size
    if size == 0:
        raise SystemExit(f"{file} is empty: nothing was stored, nothing removed")
    now = datetime.now(timezone.utc)
    key = f"{prefix}mlflow-{now:%Y-%m-%dT%H-%M-%SZ}.dump"
    store.upload_file(str(file), bucket, key)
    stored = store.head_object(Bucket=bucket, Key=key)["ContentLength"]
    if stored != size:
        raise SystemExit(f"s3://{bucket}/{key} has {stored} bytes instead of {size}: nothing was removed")
    print(f"Stored s3://{bucket}/{key}, {size} bytes", flush=True)

    for page in store.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}mlflow-"):
        for entry in page.get("Contents", []):
            if entry["Key"].endswith(".dump") and entry["LastModified"] < now - timedelta(days=days_to_keep):
                store.delete_object(Bucket=bucket, Key=entry["Key"])
                print(f"Removed s3://{bucket}/{entry['Key']}", flush=True)


if __name__ == "__main__":
    store_backup(
        Path(sys.argv[1]),
        os.environ["BACKUP_DESTINATION"],
        int(os.environ["BACKUP_DAYS_TO_KEEP"]),
        os.environ.get("MLFLOW_S3_ENDPOINT_URL"),
    )
