/**
 * Why a model version is reconciled: MLflow delivered a word about this very version, or about an alias of its model; the poll
 * found a difference; or somebody changed or deleted its InferenceService.
 */
export type Cause = "delivery" | "poll" | "alias" | "watch";

const BY_STRENGTH: readonly Cause[] = ["watch", "alias", "poll", "delivery"];

/** What woke a reconcile. */
export interface Wake {
  readonly cause: Cause;
  /** MLflow's id of the delivery, for the log. */
  readonly deliveryId?: string | undefined;
}

/** The cause of a reconcile that answers for both. A delivery is the strongest: it alone may be somebody's wish. */
export function strongerCause(one: Cause, other: Cause): Cause {
  return BY_STRENGTH.indexOf(one) >= BY_STRENGTH.indexOf(other) ? one : other;
}

/** The wake of a reconcile that answers for both: that of the stronger cause, of two deliveries the later. */
export function strongerWake(one: Wake, other: Wake): Wake {
  return strongerCause(one.cause, other.cause) === other.cause ? other : one;
}
