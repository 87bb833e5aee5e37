/** Why a call of MLflow gave nothing that can be relied on. None of these is a positive answer about a model version. */
export type MlflowErrorKind =
  /** No complete answer: connection refused, cut, or too slow. */
  | "unreachable"
  /** 401 or 403. */
  | "unauthorized"
  /** MLflow answered in its own format that it refuses the call. */
  | "refused"
  /** An answer that is not MLflow's API: an HTML page, truncated JSON, a redirect, missing or contradicting fields. */
  | "unexpected";

/** A call of MLflow failed, or its answer cannot be trusted. The message has cause and, where there is one, cure. */
export class MlflowError extends Error {
  constructor(
    readonly kind: MlflowErrorKind,
    message: string,
    /** MLflow's `error_code`, such as INVALID_PARAMETER_VALUE, when it gave one. */
    readonly code?: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = "MlflowError";
  }
}
