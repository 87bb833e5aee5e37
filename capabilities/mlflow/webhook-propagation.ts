/**
 * Each process of MLflow's server keeps its list of webhooks for a while (MLFLOW_WEBHOOK_CACHE_TTL), and a test delivery
 * goes around that list: a webhook that is proven is in force everywhere only when the oldest list has been given up.
 */
export interface Propagation {
  /** We changed the webhook a moment ago. */
  readonly changed: () => void;
  /**
   * The webhook was seen in MLflow.
   *
   * @param changedAt when MLflow says that it was last changed, in Unix milliseconds; 0 if it does not say
   */
  readonly seen: (changedAt: number) => void;
  /** Milliseconds until every process has the webhook as it is. */
  readonly left: () => number;
  /** Whether events may have been lost since the last {@link settled}. */
  readonly isUnsettled: () => boolean;
  /** What was lost has been made up for. */
  readonly settled: () => void;
}

/** @param lifetime milliseconds for which a process of MLflow's keeps its list */
export function createPropagation(lifetime: number): Propagation {
  let end = 0;
  let isUnsettled = false;
  let lastChange: number | "ours" | undefined;
  /** By our clock, which that of MLflow's machine may differ from: never longer than a change of this moment. */
  const changedAgo = (age: number): void => {
    const left = lifetime - Math.max(0, age);
    if (left <= 0) return;
    end = Math.max(end, performance.now() + left);
    isUnsettled = true;
  };
  return {
    changed() {
      changedAgo(0);
      lastChange = "ours";
    },
    seen(changedAt) {
      if (lastChange !== "ours" && lastChange !== changedAt) changedAgo(Date.now() - changedAt);
      lastChange = changedAt;
    },
    left: () => Math.max(0, end - performance.now()),
    isUnsettled: () => isUnsettled,
    settled() {
      isUnsettled = false;
    },
  };
}
