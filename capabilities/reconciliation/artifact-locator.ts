import type { MlflowReader, ModelVersion } from "../mlflow/client";
import { resolveStorageUri } from "../mlflow/storage-uri";
import type { StorageLookup, StorageSettings } from "../mlflow/storage-uri";
import { BoundedCache } from "../support/bounded-cache";
import { RefusedError } from "./errors";

/** Facts kept about versions and runs; at some 200 bytes each, a few megabytes. */
const CACHE_CAPACITY = 50_000;

/** MLflow's indirections (a version of a logged model of a run …) end after a few steps; more is a circle. */
const MAXIMUM_STEPS = 6;

export interface ArtifactLocation {
  /** What KServe's storage initializer is given. */
  readonly storageUri: string;
  /** Empty when the version has no run, or the run is gone. */
  readonly experimentId: string;
}

/**
 * Finds where a version's artifacts are and which experiment its run belongs to. Neither ever changes for a given source
 * and run, so MLflow is asked once.
 *
 * The returned function throws MlflowError when MLflow gives no answer, and RefusedError when KServe could not read the
 * artifacts, with a sentence that says what to change.
 */
export function createArtifactLocator(
  reader: MlflowReader,
  storage: StorageSettings,
): (version: ModelVersion) => Promise<ArtifactLocation> {
  const storageUris = new BoundedCache<string>(CACHE_CAPACITY);
  const experimentIds = new BoundedCache<string>(CACHE_CAPACITY);

  const locateStorage = async (version: ModelVersion): Promise<string> => {
    const key = JSON.stringify([version.model, version.version, version.source]);
    const known = storageUris.get(key);
    if (known !== undefined) return known;
    let source = version.source;
    for (let step = 0; step < MAXIMUM_STEPS; step++) {
      const resolution = resolveStorageUri(source, storage);
      if (resolution.kind === "refused") throw new RefusedError(resolution.reason);
      if (resolution.kind === "ready") {
        storageUris.set(key, resolution.uri);
        return resolution.uri;
      }
      // MLflow follows the indirections itself when it made the version; what it did not resolve is followed here.
      const next = step === 0 ? await reader.getDownloadUri(version) : await follow(reader, resolution.ask);
      source = next === source ? await follow(reader, resolution.ask) : next;
    }
    throw new RefusedError(
      `The source ${JSON.stringify(version.source)} leads nowhere: register the version from the artifacts themselves`,
    );
  };

  const experimentOf = async (runId: string): Promise<string> => {
    if (runId === "") return "";
    const known = experimentIds.get(runId);
    if (known !== undefined) return known;
    const run = await reader.getRun(runId);
    if (run === undefined) return "";
    experimentIds.set(runId, run.experimentId);
    return run.experimentId;
  };

  return async version => {
    const [storageUri, experimentId] = await Promise.all([locateStorage(version), experimentOf(version.runId)]);
    return { storageUri, experimentId };
  };
}

async function follow(reader: MlflowReader, ask: StorageLookup): Promise<string> {
  switch (ask.of) {
    case "model-version":
      return await reader.getDownloadUri({ model: ask.name, version: ask.version });
    case "logged-model":
      return await reader.getLoggedModelUri(ask.modelId);
    case "run": {
      const run = await reader.getRun(ask.runId);
      if (run === undefined)
        throw new RefusedError(
          `The run ${ask.runId} of the version's source does not exist any more: register the version from another run`,
        );
      return [run.artifactUri.replace(/\/+$/, ""), ask.path].filter(Boolean).join("/");
    }
  }
}
