import { registryRecordOf } from "../kserve/identity";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import type { MlflowReader, ModelVersion } from "../mlflow/client";
import { isElsewhere } from "./provenance";

/** Milliseconds for which the registry's creation is not asked for again. */
const LIFETIME = 60_000;

/**
 * Tells when a version's registry was made, for its service to record: see RegistryRecord. The returned function never
 * fails: it is a record for information, which no deployment waits for in vain, and undefined when it is not to be had.
 *
 * The address may lead to another MLflow from one moment to the next: what tells its creation before and after is the
 * version's own registry only when the version is there in between. Otherwise the next one asks again.
 */
export function createRegistryCreation(
  mlflow: Pick<MlflowReader, "getDefaultExperimentCreation" | "getModelVersion">,
): (version: ModelVersion) => Promise<number | undefined> {
  let last: { readonly createdAt: Promise<number | undefined>; readonly readAt: number } | undefined;

  const read = async (version: ModelVersion): Promise<number | undefined> => {
    const createdAt = await mlflow.getDefaultExperimentCreation();
    const again = await mlflow.getModelVersion(version);
    const isSame = again?.createdAt === version.createdAt;
    if (isSame && (await mlflow.getDefaultExperimentCreation()) === createdAt) return createdAt;
    last = undefined;
    return undefined;
  };

  return version => {
    if (last === undefined || performance.now() - last.readAt > LIFETIME) {
      last = { createdAt: read(version).catch(() => undefined), readAt: performance.now() };
    }
    return last.createdAt;
  };
}

/**
 * Tells whether a service was made for a version of the same name in another registry, or another workspace. The returned
 * function asks MLflow only where that may be, and then not what was read a minute ago: the address may lead elsewhere from
 * one moment to the next. Where MLflow does not tell, it is not so.
 */
export function createIsOfAnotherRegistry(
  mlflow: Pick<MlflowReader, "getDefaultExperimentCreation">,
  workspace: string | undefined,
): (live: LiveInferenceService, version: ModelVersion) => Promise<boolean> {
  return async ({ metadata }, version) => {
    const known = registryRecordOf(metadata);
    if (known === undefined || [0, version.createdAt].includes(known.versionCreatedAt)) return false;
    const createdAt = await mlflow.getDefaultExperimentCreation().catch(() => undefined);
    return isElsewhere(known, { createdAt, workspace });
  };
}
