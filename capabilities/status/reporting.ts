import { possibleServiceName } from "../kserve/names";
import type { DisputedField } from "../kserve/disputed-fields";
import { MANAGEMENT_ANNOTATION } from "../kserve/management";
import type { EventRecorder } from "../kubernetes/events";
import { formatKey } from "../support/model-version-key";
import type { ModelVersionKey } from "../support/model-version-key";
import type { Log } from "../observability/logging";
import { describeFailure } from "../reconciliation/failures";
import type { Wake } from "../reconciliation/cause";
import type { Failure, FailureReporter } from "../reconciliation/failures";
import type { Outcome } from "../reconciliation/reconciler";
import { createFailureMemory } from "./failure-memory";

/** Tells what was done about a model version, whoever asked for it. */
export interface Reporter extends FailureReporter {
  /** Why the last reconcile of a version failed, when it did. */
  readonly failureOf: (key: ModelVersionKey) => Failure | undefined;
  /**
   * @param wake what it was done for
   * @param isRepeated it was told that others change this service again and again: one more correction is no news
   */
  readonly done: (key: ModelVersionKey, outcome: Outcome, wake: Wake, isRepeated?: boolean) => void;
  /** One was put right so many times, and each time others changed it again: these fields, as far as it can be seen. */
  readonly disputed: (
    key: ModelVersionKey,
    outcome: Pick<Outcome, "inferenceService" | "uid">,
    corrections: number,
    fields: readonly DisputedField[],
  ) => void;
}

const CHANGES = {
  created: { reason: "Deployed", verb: "is served, as its tag or an alias of its model says in MLflow" },
  updated: { reason: "Updated", verb: "is served as it should be now" },
  deleted: { reason: "Removed", verb: "is no longer served" },
} as const;

/** What a version's failure is told as, by its kind; only what somebody has to act on is an error. */
const FAILURES = {
  permanent: { level: "error", message: "Model version cannot be served until somebody changes something" },
  waiting: { level: "warn", message: "Model version waits to be served" },
  passing: { level: "warn", message: "Model version could not be reconciled, which is tried again" },
} as const satisfies Record<Failure["kind"], unknown>;

/**
 * Logs each change of the cluster once, and records it as an Event, which shows in `kubectl describe`; so too what
 * cannot be done until somebody changes something. A failure is logged when it is new, when its cause changed, and when it
 * is over; how many there are, when that changed.
 */
export function createReporter(namespace: string, record: EventRecorder, log: Log): Reporter {
  const memory = createFailureMemory();
  let lastSummary = "";
  return {
    failureOf: key => memory.failureOf(formatKey(key)),
    done(key, { action, inferenceService, reason, uid }, { cause, deliveryId }, isRepeated = false) {
      const ended = memory.succeeded(formatKey(key));
      if (ended !== undefined) {
        const about = { model: key.model, version: key.version, inference_service: inferenceService };
        // Whatever there is a reason for is not served, and need not be any more.
        if (reason === undefined) log.info({ ...about, was: ended.message }, "Model version is served again");
        else log.info({ ...about, was: ended.message, reason }, "Model version no longer fails to be served");
      }
      if (action !== "created" && action !== "updated" && action !== "deleted") return;
      const about = { model: key.model, version: key.version, inference_service: inferenceService, action };
      if (isRepeated) {
        log.debug(about, "InferenceService put right once more");
        return;
      }
      const by = { change: action, by: cause, ...(deliveryId === undefined ? {} : { delivery_id: deliveryId }) };
      log.info({ ...about, ...by, ...(reason === undefined ? {} : { reason }) }, `InferenceService ${action}`);
      const { reason: word, verb } = CHANGES[action];
      const message = `${formatKey(key)} ${verb}${reason === undefined ? "" : `: ${reason}`}`;
      record({ type: "Normal", reason: word, message, name: inferenceService, uid });
    },
    failed(key, error) {
      const subject = { key, namespace };
      const { failure, isNew } = memory.failed(formatKey(key), describeFailure(error, subject));
      const name = possibleServiceName(key, namespace);
      const { level, message } = FAILURES[failure.kind];
      const { event: reason, owner, uid, message: cause } = failure;
      log[isNew ? level : "debug"](
        { model: key.model, version: key.version, inference_service: name, reason, owner, cause },
        message,
      );
      // What passes by itself (MLflow or the API server not answering) is for the log and the metrics; and what cannot even
      // have a name has no object to tell it of.
      if (reason === undefined || name === undefined) return;
      const text = `${formatKey(key)} cannot be served: ${cause}`;
      record({ type: "Warning", reason, message: text, name, uid, isNew });
    },
    disputed(key, { inferenceService, uid }, corrections, fields) {
      const message =
        `${formatKey(key)} was put right ${corrections} times, and changed again each time: ${describe(fields)}; let only ` +
        `one of the two set that, or make this module leave the service alone with the annotation ` +
        `${MANAGEMENT_ANNOTATION}=paused; until then it is put right less and less often`;
      const managers = [...new Set(fields.map(({ manager }) => manager))];
      const about = { model: key.model, version: key.version, inference_service: inferenceService };
      log.warn({ ...about, managers, fields: fields.map(({ field }) => field) }, message);
      record({ type: "Warning", reason: "ChangedByOthers", message, name: inferenceService, uid });
    },
    pollEnded(open) {
      for (const id of memory.pollEnded(new Set(open.map(formatKey)))) {
        log.info({ about: id }, "Model version no longer fails to be served");
      }
      const counts = memory.counts();
      const summary = summaryOf(counts);
      const changed = summary !== lastSummary;
      lastSummary = summary;
      if (summary !== "") log[changed ? "warn" : "debug"](Object.fromEntries(counts), summary);
      else if (changed) log.info({}, "No version fails to be served any more");
    },
  };
}

/** Disputed fields that are named one by one. */
const NAMED_FIELDS = 3;

function describe(fields: readonly DisputedField[]): string {
  if (fields.length === 0) return "somebody deletes it, or changes what it consists of";
  const named = fields
    .slice(0, NAMED_FIELDS)
    .map(({ manager, field }) =>
      manager === undefined ? `somebody removes ${field}` : `the field manager ${manager} sets ${field}`,
    );
  const more = fields.length > NAMED_FIELDS ? [`and ${fields.length - NAMED_FIELDS} more`] : [];
  return [...named, ...more].join(", ");
}

/** "50 versions cannot be served: 48 refused, 2 rejected"; empty when there are none. */
function summaryOf(counts: ReadonlyMap<string, number>): string {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  if (total === 0) return "";
  const groups = [...counts].sort(([one], [other]) => one.localeCompare(other));
  const parts = groups.map(([group, count]) => `${count} ${group}`).join(", ");
  return `${total} ${total === 1 ? "version" : "versions"} cannot be served: ${parts}`;
}
