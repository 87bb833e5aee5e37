import { countOperation } from "./observability/instrumentation";
import { messageOf } from "./observability/logging";
import type { Log } from "./observability/logging";
import type { Metrics } from "./observability/metrics";
import type { DisputedField } from "./kserve/disputed-fields";
import { strongerWake } from "./reconciliation/cause";
import type { Wake } from "./reconciliation/cause";
import { createDisagreements } from "./reconciliation/disagreements";
import type { DisagreementOptions } from "./reconciliation/disagreements";
import { createKeyedQueue } from "./reconciliation/keyed-queue";
import type { Outcome, Reconciler } from "./reconciliation/reconciler";
import type { Publishing } from "./status/publishing";
import type { Reporter } from "./status/reporting";
import { formatKey } from "./support/model-version-key";
import type { ModelVersionKey } from "./support/model-version-key";

/**
 * Model versions reconciled at the same time. Many, so that one search of MLflow serves many of them; how much goes to MLflow
 * and to the API server at once is limited where they are asked.
 */
const CONCURRENCY = 256;

/**
 * Milliseconds after an Apply or Delete was acknowledged until MLflow is looked at again, at the most. The looks of several
 * versions then share one search, which leaves MLflow's time to those who wait for an answer.
 */
const SECOND_LOOK_WITHIN = 100;

/**
 * With others who change a service back each time: fourteen reactions in the first half hour where there were seventy a
 * second, and a word after the third, which is when it can no longer be chance.
 */
const DISAGREEMENTS: DisagreementOptions = {
  firstPause: 1_000,
  longestPause: 300_000,
  tellAfter: 3,
  quiet: 600_000,
};

export interface ReconcileQueueOptions {
  readonly reconciler: Pick<Reconciler, "act">;
  readonly reporter: Pick<Reporter, "done" | "disputed" | "failed">;
  readonly publishing: Pick<Publishing, "reconciling" | "reconciled" | "failed">;
  /** What others set last in a service that was changed against us. */
  readonly disputedIn: (inferenceService: string) => readonly DisputedField[];
  readonly metrics: Metrics;
  readonly log: Log;
}

/** Where every reconcile goes through, whoever asks for it, and where what came of it is told. */
export interface ReconcileQueue {
  /** Reconciles one version, and answers when that is done. What failed is told before the promise rejects. */
  readonly reconcile: (key: ModelVersionKey, wake: Wake) => Promise<Outcome>;
  /** Whether others are known to change this version's service again and again. */
  readonly isDisputed: (key: ModelVersionKey) => boolean;
  /** Resolves when no work is under way, second looks included. */
  readonly idle: () => Promise<void>;
}

export function createReconcileQueue(options: ReconcileQueueOptions): ReconcileQueue {
  const { reconciler, reporter, publishing, disputedIn, metrics, log } = options;
  const disagreements = createDisagreements(DISAGREEMENTS);
  const report = (key: ModelVersionKey, wake: Wake, outcome: Outcome): void => {
    const { cause } = wake;
    const { action, inferenceService } = outcome;
    const id = formatKey(key);
    const isWish = cause === "delivery" || cause === "alias";
    reporter.done(key, outcome, wake, !isWish && disagreements.isTold(id));
    const isCorrection = (action === "created" || action === "updated") && !isWish;
    if (isCorrection && disagreements.corrected(id, cause === "watch")) {
      reporter.disputed(key, outcome, DISAGREEMENTS.tellAfter, disputedIn(inferenceService));
    }
  };
  const queue = createKeyedQueue<ModelVersionKey, Outcome, Wake>({
    identity: formatKey,
    concurrency: CONCURRENCY,
    confirmWithin: SECOND_LOOK_WITHIN,
    merge: strongerWake,
    // Only a reaction to others can go round and round; a delivery and the poll never wait.
    holdBack: (key, { cause }) => (cause === "watch" ? disagreements.holdBack(formatKey(key)) : 0),
    work: async (key, wake) => {
      const begun = publishing.reconciling();
      try {
        const acted = await countOperation(reconciler.act(key, wake.cause), metrics);
        report(key, wake, acted.outcome);
        publishing.reconciled(key, acted.outcome, wake, begun);
        return { result: acted.outcome, confirm: acted.confirm };
      } catch (error) {
        reporter.failed(key, error);
        publishing.failed(key);
        throw error;
      }
    },
    onUnconfirmed: ({ model, version }, error) => {
      log.warn(
        { model, version, cause: messageOf(error) },
        "The second look at MLflow failed, the next poll looks again",
      );
    },
  });
  metrics.observeQueue(() => queue.depth);
  return {
    reconcile: (key, wake) => queue.run(key, wake),
    isDisputed: key => disagreements.isTold(formatKey(key)),
    idle: () => queue.idle(),
  };
}
