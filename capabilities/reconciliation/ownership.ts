import { hasApplied } from "../kserve/field-ownership";
import { hasLostAnnotations, labelValue, runLabelOf, serves } from "../kserve/identity";
import { FIELD_MANAGER } from "../kserve/inference-services";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import type { ModelVersion } from "../mlflow/client";
import type { ModelVersionKey } from "../support/model-version-key";

/**
 * Whether an object that has a version's name is somebody else's, so that it is neither changed nor removed.
 *
 * @param version MLflow's version; undefined when it does not exist
 */
export type IsForeign = (
  live: LiveInferenceService,
  key: ModelVersionKey,
  version: ModelVersion | undefined,
) => boolean;

/** @param adopts whether services without our annotations, as the listener before this module made them, are taken over */
export function createIsForeign(adopts: boolean): IsForeign {
  return (live, key, version) => {
    if (!serves(live.metadata, key)) return true;
    // One that we never applied may be taken over when all that it says is true.
    if (!hasLostAnnotations(live.metadata) || hasApplied(live, FIELD_MANAGER)) return false;
    return !adopts || (version !== undefined && !mayBeOfRun(live, version.runId));
  };
}

function mayBeOfRun({ metadata }: LiveInferenceService, runId: string): boolean {
  const told = runLabelOf(metadata);
  return told === undefined || (runId !== "" && told === labelValue(runId));
}
