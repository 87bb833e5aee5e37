import { formatKey } from "../model-version-key";
import { keyOf } from "./identity";
import type { IdentityMetadata } from "./identity";

/** Whether a change of an InferenceService that carries our label may pass, and if not, what to do instead. */
export type AdmissionDecision = { readonly allowed: true } | { readonly allowed: false; readonly message: string };

/**
 * An InferenceService with our label must be one of ours, and stay the one that it is: name, labels and annotations say
 * which model version it serves, and the module finds it by them. What is being deleted is never held up.
 *
 * @param after the object as it would be
 * @param before the object as it is, for an update
 */
export function admit(
  after: IdentityMetadata & { deletionTimestamp?: unknown },
  before?: IdentityMetadata,
): AdmissionDecision {
  if (after.deletionTimestamp !== undefined) return { allowed: true };
  const identity = keyOf(after);
  if (before === undefined) {
    if (identity !== undefined) return { allowed: true };
    return {
      allowed: false,
      message:
        "the label managed-by=mlflow-kserve-webhook-listener is for InferenceServices that are made from MLflow; leave it out, or tag the model version in MLflow",
    };
  }
  const previous = keyOf(before);
  // Somebody's object that came by our label: not ours to protect, and not to be got in the way of.
  if (previous === undefined) return { allowed: true };
  if (identity !== undefined && formatKey(identity) === formatKey(previous)) return { allowed: true };
  return {
    allowed: false,
    message: `the labels and annotations mlflow.* say that this serves ${formatKey(previous)} and cannot be changed; tag another version in MLflow instead`,
  };
}
