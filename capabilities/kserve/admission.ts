import { formatKey } from "../support/model-version-key";
import { isManaged, keyOf } from "./identity";
import type { IdentityMetadata } from "./identity";

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

/**
 * Only the module makes InferenceServices with our label, and each stays the one that it is: name, labels and
 * annotations say which model version it serves, and the module finds it by them. What is being deleted is never held up.
 */
export function admit({ after, before, username, ownUsername }: AdmissionQuestion): AdmissionDecision {
  if (after.deletionTimestamp !== undefined) return { allowed: true };
  const previous = before && keyOf(before);
  // Somebody else's, before and after: not to be got in the way of.
  if (previous === undefined && !isManaged(after)) return { allowed: true };
  const identity = keyOf(after);
  const byUs = username === undefined || ownUsername === undefined || username === ownUsername;
  if (before === undefined) return identity !== undefined && byUs ? { allowed: true } : NOT_FROM_MLFLOW;
  // Else it would be taken for ours, and be deleted when the version it names is not tagged.
  if (previous === undefined && identity !== undefined && !byUs) return NOT_FROM_MLFLOW;
  // Somebody's object that came by our label: not ours to protect, and not to be got in the way of.
  if (previous === undefined) return { allowed: true };
  if (identity !== undefined && formatKey(identity) === formatKey(previous)) return { allowed: true };
  return {
    allowed: false,
    message: `the labels and annotations mlflow.* say that this serves ${formatKey(previous)} and cannot be changed; tag another version in MLflow instead`,
  };
}
