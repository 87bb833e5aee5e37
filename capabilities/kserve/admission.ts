import { formatKey } from "../support/model-version-key";
import { hasLostAnnotations, IDENTITY_LABELS, isManaged, keyOf } from "./identity";
import type { IdentityMetadata } from "./identity";
import { MANAGEMENT_ANNOTATION, managementOf } from "./management";

/** Whether a change of an InferenceService may pass, and if not, what to do instead. */
export type AdmissionDecision = { readonly allowed: true } | { readonly allowed: false; readonly message: string };

/** An InferenceService as it would be after a request, and what is known about the request. */
export interface AdmissionQuestion {
  readonly after: IdentityMetadata & { readonly deletionTimestamp?: unknown };
  /** The object as it is, for an update. */
  readonly before?: IdentityMetadata | undefined;
  /** Who asks, and who the module is, as the API server names them; undefined when that is not known. */
  readonly username?: string | undefined;
  readonly ownUsername?: string | undefined;
}

const NOT_FROM_MLFLOW: AdmissionDecision = {
  allowed: false,
  message:
    "the label managed-by=mlflow-kserve-webhook-listener is for InferenceServices that are made from MLflow; leave it out, or tag the model version in MLflow",
};

const ALLOWED: AdmissionDecision = { allowed: true };

/**
 * Only the module makes InferenceServices with our label, and each stays the one that it is: name, labels and
 * annotations say which model version it serves, and the module finds it by them. The labels are what people and other
 * programs find it by, so only the module changes them. What is being deleted is never held up, nor what was released, or
 * is with this change: that is nobody's but its owner's.
 */
export function admit({ after, before, username, ownUsername }: AdmissionQuestion): AdmissionDecision {
  if (after.deletionTimestamp !== undefined) return ALLOWED;
  if (before && managementOf(before) === "released") return ALLOWED;
  if (managementOf(after) === "released") return ALLOWED;
  const previous = before && keyOf(before);
  // Somebody else's, before and after: not to be got in the way of.
  if (previous === undefined && !isManaged(after)) return ALLOWED;
  const identity = keyOf(after);
  const byUs = username === undefined || ownUsername === undefined || username === ownUsername;
  if (before === undefined) {
    const isMadeByUs = identity !== undefined && byUs && !hasLostAnnotations(after);
    return isMadeByUs ? ALLOWED : NOT_FROM_MLFLOW;
  }
  // Else it would be taken for ours, and be deleted when the version it names is not tagged.
  if (previous === undefined && identity !== undefined && !byUs) return NOT_FROM_MLFLOW;
  // Somebody's object that came by our label: not ours to protect, and not to be got in the way of.
  if (previous === undefined) return ALLOWED;
  const losesAnnotations = hasLostAnnotations(after) && !hasLostAnnotations(before);
  if (identity !== undefined && formatKey(identity) === formatKey(previous) && !losesAnnotations) {
    const labels = IDENTITY_LABELS.filter(key => before.labels?.[key] !== after.labels?.[key]);
    return byUs || labels.length === 0 ? ALLOWED : labelsAreKept(labels, formatKey(previous));
  }
  return {
    allowed: false,
    message: `the labels and annotations mlflow.* say that this serves ${formatKey(previous)} and cannot be changed; tag another version in MLflow instead`,
  };
}

function labelsAreKept(labels: readonly string[], served: string): AdmissionDecision {
  return {
    allowed: false,
    message: `the labels ${labels.join(", ")} come from MLflow, where this is ${served}, and cannot be changed here; leave them as they are and add labels of your own, or take the service over with the annotation ${MANAGEMENT_ANNOTATION}=released`,
  };
}
