/**
 * Why a model version is reconciled: MLflow delivered a word about this very version, the poll found a difference, or
 * somebody changed or deleted its InferenceService.
 */
export type Cause = "delivery" | "poll" | "watch";

const BY_STRENGTH: readonly Cause[] = ["watch", "poll", "delivery"];

/** The cause of a reconcile that answers for both. A delivery is the strongest: it alone may be somebody's wish. */
export function strongerCause(one: Cause, other: Cause): Cause {
  return BY_STRENGTH.indexOf(one) >= BY_STRENGTH.indexOf(other) ? one : other;
}
