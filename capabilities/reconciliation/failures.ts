import { KubernetesError } from "../kubernetes/api-server";
import { possibleServiceName } from "../kserve/names";
import { MlflowError } from "../mlflow/errors";
import { messageOf } from "../observability/logging";
import type { ModelVersionKey } from "../support/model-version-key";
import { ForeignObjectError, RefusedError } from "./errors";
import { describeKubernetesFailure } from "./kubernetes-failures";

/** How a reconcile counts that failed: `status` of the metric. */
export type FailureStatus = "conflict" | "refused" | "rejected" | "mlflow_error" | "kubernetes_error" | "error";

/** A reconcile that failed, in the one form that answers, logs, Events and metrics are made from. */
export interface Failure {
  /**
   * `passing`: trying again may help by itself. `waiting`: something that is under way has to come to its end. `permanent`:
   * nothing helps until somebody changes something.
   */
  readonly kind: "passing" | "waiting" | "permanent";
  /** Where the cause is, so who can put it right; `module` is a mistake of ours. */
  readonly owner: "mlflow" | "kubernetes" | "version" | "template" | "foreign object" | "module";
  /** HTTP status for a delivery. MLflow tries again after 500 and 502; a permanent failure gets one that it does not retry. */
  readonly answer: 409 | 422 | 500 | 502;
  readonly status: FailureStatus;
  /** Cause and cure, in one sentence without an end. */
  readonly message: string;
  /** The Event's reason, for what is permanent about a version that there is. */
  readonly event?: "NameTaken" | "Refused" | "RejectedByAdmission" | "QuotaExceeded" | "Invalid";
  /** The uid of the object that is in the way, or could not be changed. */
  readonly uid?: string | undefined;
}

/** The service that a reconcile was about. */
export interface FailureSubject {
  readonly key: ModelVersionKey;
  readonly namespace: string;
}

/** Takes what came of the reconciles of model versions, from whoever asked for them. */
export interface FailureReporter {
  /** May be told of the same failure more than once. */
  readonly failed: (key: ModelVersionKey, error: unknown) => void;
  /**
   * A poll came to its end.
   *
   * @param open the versions that it found different from what they should be, those included that are still
   */
  readonly pollEnded: (open: readonly ModelVersionKey[]) => void;
}

/**
 * Describes anything that a reconcile threw.
 *
 * @param subject makes the cure name the object; the metric needs none
 */
export function describeFailure(error: unknown, subject?: FailureSubject): Failure {
  const message = messageOf(error);
  if (error instanceof KubernetesError) {
    const name = subject && possibleServiceName(subject.key, subject.namespace);
    return describeKubernetesFailure(
      error,
      name === undefined ? undefined : { name, namespace: subject?.namespace ?? "" },
    );
  }
  if (error instanceof MlflowError) {
    // MLflow itself says that it can have no such model version: asking again gives the same answer, and there is nothing
    // to record an Event of.
    return error.code === "INVALID_PARAMETER_VALUE"
      ? { kind: "permanent", owner: "version", answer: 422, status: "mlflow_error", message }
      : { kind: "passing", owner: "mlflow", answer: 502, status: "mlflow_error", message };
  }
  if (error instanceof ForeignObjectError) {
    const { uid } = error;
    return {
      ...{ kind: "permanent", owner: "foreign object", answer: 409, status: "conflict", event: "NameTaken" },
      message,
      uid,
    };
  }
  if (error instanceof RefusedError) {
    return { kind: "permanent", owner: "version", answer: 422, status: "refused", event: "Refused", message };
  }
  return { kind: "passing", owner: "module", answer: 500, status: "error", message };
}
