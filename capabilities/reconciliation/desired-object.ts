import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { identityAnnotations, identityLabels } from "../kserve/identity";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import { inferenceServiceName } from "../kserve/names";
import { withIdentity } from "../template/rendering";
import type { CompiledTemplate, InferenceServiceObject } from "../template/rendering";
import type { ModelVersion } from "../mlflow/client";
import type { ArtifactLocation } from "./artifact-locator";

/**
 * Annotation with a digest of the object as rendered. A field that a template no longer has cannot be seen by comparing
 * what is rendered now with what is in the cluster; the digest shows it.
 */
export const RENDERED_ANNOTATION = "mlflow.rendered";

/** The same for every predictor. */
export interface PredictorResources {
  readonly cpuRequest: string;
  readonly cpuLimit: string;
  readonly memoryRequest: string;
  readonly memoryLimit: string;
}

/** The InferenceService that a tagged version should have, with identity and digest. */
export function desiredObject(
  version: ModelVersion,
  location: ArtifactLocation,
  namespace: string,
  template: CompiledTemplate,
  resources: PredictorResources,
): InferenceServiceObject {
  const rendered = template.render({
    name: inferenceServiceName(version, namespace),
    namespace,
    model_name: version.model,
    model_version: version.version,
    storage_uri: location.storageUri,
    run_id: version.runId,
    experiment_id: location.experimentId,
    cpu_request: resources.cpuRequest,
    cpu_limit: resources.cpuLimit,
    memory_request: resources.memoryRequest,
    memory_limit: resources.memoryLimit,
  });
  const identity = {
    model: version.model,
    version: version.version,
    runId: version.runId,
    experimentId: location.experimentId,
    source: version.source,
  };
  const object = withIdentity(rendered, identityLabels(identity), identityAnnotations(identity));
  const digest = createHash("sha256").update(JSON.stringify(object)).digest("hex").slice(0, 16);
  return withIdentity(object, {}, { [RENDERED_ANNOTATION]: digest });
}

/**
 * Whether the object in the cluster is what was rendered, so that nothing needs to be applied: made from the same
 * rendering, and every field of it still in place. Fields beyond it (defaults of KServe, an autoscaler's) are not ours.
 *
 * @param settledGeneration the object's generation after our last Apply of this very rendering, when known: admission
 *   may write a value in another form (`1000m` as `1`), which is no drift
 */
export function isInPlace(
  live: LiveInferenceService,
  desired: InferenceServiceObject,
  settledGeneration: number | undefined,
): boolean {
  if (live.metadata.deletionTimestamp !== undefined) return false;
  const { labels = {}, annotations = {} } = desired.metadata;
  return (
    contains(live.metadata.labels, labels) &&
    contains(live.metadata.annotations, annotations) &&
    (live.metadata.generation === settledGeneration || contains(live.spec, desired.spec))
  );
}

/** Whether every field of `part` is in `whole` with the same value. Lists must be equal in length and order. */
function contains(whole: unknown, part: unknown): boolean {
  if (Array.isArray(part)) {
    return Array.isArray(whole) && whole.length === part.length && part.every((item, at) => contains(whole[at], item));
  }
  if (typeof part === "object" && part !== null) {
    if (typeof whole !== "object" || whole === null || Array.isArray(whole)) return false;
    return Object.entries(part).every(([name, value]) =>
      Object.hasOwn(whole, name) ? contains((whole as Record<string, unknown>)[name], value) : false,
    );
  }
  return isDeepStrictEqual(whole, part);
}
