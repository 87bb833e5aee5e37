import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { isCached } from "./cache";
import { goBinaries, goBuildKey } from "./go-binaries";
import { freePort } from "./ports";
import { answersOk } from "./probe";
import type { Run } from "./run";

const BUILD = {
  module: "versitygw" as const,
  programs: [{ packagePath: "github.com/versity/versitygw/cmd/versitygw", binary: "versitygw" }],
};
const REGION = "us-east-1";

/** The bucket for MLflow's artifacts. */
export const BUCKET = "mlflow";

/** A real S3 server, with one bucket. */
export interface ObjectStorage {
  /** host:port; plain HTTP. */
  readonly endpoint: string;
  readonly region: string;
  readonly accessKey: string;
  readonly secretKey: string;
}

/** Whether the S3 server does not have to be compiled. */
export function objectStorageIsBuilt(): boolean {
  return isCached(BUILD.module, goBuildKey(BUILD));
}

/** Builds the S3 server, or finds it in the cache; returns the folder that has it. */
export function objectStorageDirectory(progress: (message: string) => void): Promise<string> {
  return goBinaries(BUILD, progress);
}

/** Starts an S3 server over a folder of the run, with credentials of its own. */
export async function startObjectStorage(run: Run, directory: string): Promise<ObjectStorage> {
  const endpoint = `127.0.0.1:${await freePort()}`;
  const folder = join(run.directory, "object-storage");
  const metadata = join(run.directory, "object-metadata");
  mkdirSync(join(folder, BUCKET), { recursive: true }); // a folder in it is a bucket
  mkdirSync(metadata);
  const accessKey = `testbed${randomBytes(6).toString("hex")}`;
  const secretKey = randomBytes(24).toString("hex");
  await run.start({
    name: "versitygw",
    command: join(directory, "versitygw"),
    // What S3 keeps beside an object lies in files, since not every file system has extended attributes.
    arguments: [
      ...["--port", endpoint, "--region", REGION, "--health", "/health"],
      ...["posix", "--sidecar", metadata, folder],
    ],
    environment: { ROOT_ACCESS_KEY: accessKey, ROOT_SECRET_KEY: secretKey },
    directory: run.directory,
    isReady: () => answersOk(`http://${endpoint}/health`),
    readyWithinSeconds: 60,
  });
  return { endpoint, region: REGION, accessKey, secretKey };
}

/** The variables by which MLflow and other users of boto3 find this storage. */
export function storageEnvironment({ endpoint, region, accessKey, secretKey }: ObjectStorage): Record<string, string> {
  return {
    MLFLOW_S3_ENDPOINT_URL: `http://${endpoint}`,
    AWS_ACCESS_KEY_ID: accessKey,
    AWS_SECRET_ACCESS_KEY: secretKey,
    AWS_DEFAULT_REGION: region,
  };
}
