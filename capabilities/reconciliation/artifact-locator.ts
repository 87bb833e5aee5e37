import { MlflowError } from "../mlflow/errors";
import type { MlflowReader, ModelVersion } from "../mlflow/client";
import { resolveStorageUri } from "../mlflow/storage-uri";
import type { StorageLookup, StorageSettings } from "../mlflow/storage-uri";
import { messageOf } from "../observability/logging";
import type { Log } from "../observability/logging";
import type { DeployedModelVersion } from "../kserve/identity";
import { BoundedCache } from "../support/bounded-cache";
import { RefusedError, StorageNotAllowedError } from "./errors";

/** Facts kept about versions and runs; at some 200 bytes each, a few megabytes. */
const CACHE_CAPACITY = 50_000;

/** MLflow's indirections (a version of a logged model of a run …) end after a few steps; more is a circle. */
const MAXIMUM_STEPS = 6;

/** Milliseconds after which MLflow is asked again where a source leads that may come to lead elsewhere. */
const RECHECK_AFTER = 120_000;

/** Milliseconds after which a run is asked for again that MLflow refused to tell of, or that is gone. */
const REFUSED_FOR = 600_000;

/** Milliseconds after which a run is asked for again when the question failed in passing. */
const FAILED_FOR = 60_000;

export interface ArtifactLocation {
  /** What KServe's storage initializer is given. */
  readonly storageUri: string;
  /** Empty when the template does not use it, the version has no run, or the run's experiment is not known. */
  readonly experimentId: string;
}

/** The run and experiment that the service of a version records, when there is one. */
export type RecordedRun = Pick<DeployedModelVersion, "runId" | "experimentId">;

export interface ExperimentOptions {
  /** Whether the template uses the id of the experiment; MLflow is not asked for it otherwise. */
  readonly needsExperiment: boolean;
  readonly log?: Log | undefined;
  /** Milliseconds on a clock that only goes forward. */
  readonly now?: () => number;
}

/**
 * Finds where a version's artifacts are and, when the template uses it, which experiment its run belongs to.
 *
 * Storage: most sources say it themselves. One that leads through a logged model or a run is asked for once, since their ids
 * are never given again; it is remembered for the version as it was made then, because a version that was deleted and
 * made again has the same number. One that leads through `models:/name/version` is asked for again after two minutes:
 * another version may have that name then. So is every version of which MLflow does not say when it was made.
 *
 * Experiment: information, which holds up no deployment. The experiment of a run never changes and is remembered. When the
 * run cannot be read (403, 404, no answer), the id is the one that the service records for this very run, so that a passing
 * failure changes nothing that runs; without such a record it is empty. Then the run is asked for again, after a minute
 * or, when MLflow refused, after ten; and a service that was made with an empty id follows as with a changed template.
 *
 * The returned function throws MlflowError when MLflow gives no answer about the storage, and RefusedError when KServe could
 * not read the artifacts, with a sentence that says what to change; StorageNotAllowedError when it must not.
 */
export function createArtifactLocator(
  reader: MlflowReader,
  storage: StorageSettings,
  { needsExperiment, log, now = () => performance.now() }: ExperimentOptions,
): (version: ModelVersion, recorded?: RecordedRun) => Promise<ArtifactLocation> {
  const storageUris = new BoundedCache<{ readonly uri: string; readonly until: number }>(CACHE_CAPACITY);
  const experimentIds = new BoundedCache<string>(CACHE_CAPACITY);
  /** Until when a run is not asked for again. */
  const unreadable = new BoundedCache<number>(CACHE_CAPACITY);
  let warned = false;

  const locateStorage = async (version: ModelVersion): Promise<string> => {
    const key = JSON.stringify([version.model, version.version, version.createdAt, version.source]);
    const known = storageUris.get(key);
    if (known !== undefined && now() < known.until) return known.uri;
    let source = version.source;
    let isFixed = version.createdAt !== 0;
    for (let step = 0; step < MAXIMUM_STEPS; step++) {
      const resolution = resolveStorageUri(source, storage);
      if (resolution.kind === "refused") throw new RefusedError(resolution.reason);
      if (resolution.kind === "not allowed") throw new StorageNotAllowedError(resolution.reason);
      if (resolution.kind === "ready") {
        const until = isFixed ? Infinity : now() + RECHECK_AFTER;
        // What MLflow was not asked for need not be remembered.
        if (step > 0) storageUris.set(key, { uri: resolution.uri, until });
        return resolution.uri;
      }
      isFixed &&= resolution.ask.of !== "model-version";
      // MLflow follows the indirections itself when it made the version; what it did not resolve is followed here.
      const next = step === 0 ? await reader.getDownloadUri(version) : await follow(reader, resolution.ask);
      source = next === source ? await follow(reader, resolution.ask) : next;
    }
    throw new RefusedError(
      `The source ${JSON.stringify(version.source)} leads nowhere: register the version from the artifacts themselves`,
    );
  };

  const cannotRead = ({ model, version, runId }: ModelVersion, error: unknown): void => {
    const isPassing = !(error instanceof MlflowError) || error.kind === "unreachable" || error.kind === "unexpected";
    unreadable.set(runId, now() + (isPassing ? FAILED_FOR : REFUSED_FOR));
    log?.[warned ? "debug" : "warn"](
      { model, version, run_id: runId, cause: messageOf(error) },
      "The experiment of a version's run cannot be read; the template gets the one that the service records, or none: " +
        "give the module's MLflow account the right to read the experiment, or take experiment_id out of the template",
    );
    warned = true;
  };

  const experimentOf = async (version: ModelVersion, recorded: RecordedRun): Promise<string> => {
    const { runId } = version;
    if (!needsExperiment || runId === "") return "";
    const known = experimentIds.get(runId);
    if (known !== undefined) return known;
    if (now() >= (unreadable.get(runId) ?? -Infinity)) {
      try {
        const run = await reader.getRun(runId);
        if (run === undefined) throw new MlflowError("refused", `the run ${runId} does not exist any more`);
        experimentIds.set(runId, run.experimentId);
        return run.experimentId;
      } catch (error) {
        cannotRead(version, error);
      }
    }
    return recorded.runId === runId ? (recorded.experimentId ?? "") : "";
  };

  return async (version, recorded = {}) => {
    const [storageUri, experimentId] = await Promise.all([locateStorage(version), experimentOf(version, recorded)]);
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
