import { inferenceServiceName } from "../kserve/names";
import type { EventRecorder } from "../kubernetes/events";
import { formatKey } from "../support/model-version-key";
import type { ModelVersionKey } from "../support/model-version-key";
import type { Log } from "../observability/logging";
import { messageOf } from "../observability/logging";
import { ForeignObjectError, RefusedError } from "../reconciliation/errors";
import type { Outcome } from "../reconciliation/reconciler";
import type { ResyncReport } from "../reconciliation/resync";

/** Tells what was done about a model version, whoever asked for it. */
export interface Reporter {
  readonly done: (key: ModelVersionKey, outcome: Outcome) => void;
  readonly failed: (key: ModelVersionKey, error: unknown) => void;
  /** A poll left services that are to go, because they are too many at once. */
  readonly held: (report: Pick<ResyncReport, "held" | "managed">) => void;
}

const CHANGES = {
  created: { reason: "Deployed", verb: "is served, because it is tagged in MLflow" },
  updated: { reason: "Updated", verb: "is served as it should be now" },
  deleted: { reason: "Removed", verb: "is no longer served" },
} as const;

/**
 * Logs each change of the cluster once, and records it as an Event, which shows in `kubectl describe`; so too what
 * cannot be done until somebody changes something.
 */
export function createReporter(namespace: string, record: EventRecorder, log: Log): Reporter {
  return {
    done(key, { action, inferenceService, reason, uid }) {
      if (action !== "created" && action !== "updated" && action !== "deleted") return;
      const about = { model: key.model, version: key.version, inference_service: inferenceService, action };
      log.info({ ...about, ...(reason === undefined ? {} : { reason }) }, `InferenceService ${action}`);
      const { reason: word, verb } = CHANGES[action];
      const message = `${formatKey(key)} ${verb}${reason === undefined ? "" : `: ${reason}`}`;
      record({ type: "Normal", reason: word, message, name: inferenceService, uid });
    },
    failed(key, error) {
      const reason =
        error instanceof ForeignObjectError ? "NameTaken" : error instanceof RefusedError ? "Refused" : undefined;
      // What passes by itself (MLflow or the API server not answering) is for the log and the metrics.
      if (reason === undefined) return;
      const message = `${formatKey(key)} cannot be served: ${messageOf(error)}`;
      const uid = error instanceof ForeignObjectError ? error.uid : undefined;
      try {
        record({ type: "Warning", reason, message, name: inferenceServiceName(key, namespace), uid });
      } catch {
        // It cannot even have a name, which is what the message says; there is no object to tell it of.
      }
    },
    held({ held, managed }) {
      const message =
        `${held} of ${managed} services are to be deleted at once, and are kept until further polls confirm each: ` +
        "check that MLFLOW_KSERVE_MLFLOW_TRACKING_URI still leads to the MLflow that they were tagged in, and that " +
        "nobody emptied it; if all is as it should be, nothing needs to be done";
      log.error({ held, managed }, `Mass deletion held: ${message}`);
      record({ type: "Warning", reason: "MassDeletionHeld", message });
    },
  };
}
