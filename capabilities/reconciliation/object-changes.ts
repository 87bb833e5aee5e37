import { isDeepStrictEqual } from "node:util";
import { KubernetesError } from "../kubernetes/api-server";
import type { LiveInferenceService } from "../kserve/live-inference-service";

/** Whether an Apply changed nothing. Not by resourceVersion: KServe's controller may have written the status between our read and our Apply. */
export function hasSameContent(before: LiveInferenceService, after: LiveInferenceService): boolean {
  const [one, other] = [before.metadata, after.metadata];
  return (
    one.generation === other.generation &&
    isDeepStrictEqual(one.labels, other.labels) &&
    isDeepStrictEqual(one.annotations, other.annotations)
  );
}

/** What is thrown for an object that is on its way out: an Apply to it would be lost with it. */
export function beingDeleted(live: LiveInferenceService): KubernetesError {
  const { namespace, name, finalizers } = live.metadata;
  const what = `InferenceService ${namespace}/${name} is still being deleted`;
  const why =
    finalizers.length === 0
      ? "it is made again when it is gone"
      : `it waits for ${finalizers.join(", ")} and is made again when it is gone; if that takes long, see to what owns them`;
  return new KubernetesError(409, "BeingDeleted", `${what}: ${why}`);
}

/**
 * Whether the object changed, came or went between our read and our write, so that reading again will help. An Apply
 * that meant to create is refused with Conflict too when somebody made the object first: the next read shows whose.
 */
export function isRace(error: unknown, live: LiveInferenceService | undefined): boolean {
  if (!(error instanceof KubernetesError)) return false;
  if (error.status === 409) return true;
  // A uid that no longer fits is answered as an invalid change of an immutable field.
  return error.status === 422 && live !== undefined && error.message.includes("metadata.uid");
}
