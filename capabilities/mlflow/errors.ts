/** Why a call of MLflow gave nothing that can be relied on. None of these is a positive answer about a model version. */
export type MlflowErrorKind =
  /** No complete answer: connection refused, cut, or too slow. */
  | "unreachable"
  /** 401 or 403 that is about our credentials or their rights. */
  | "unauthorized"
  /** MLflow answered in its own format that it refuses the call. */
  | "refused"
  /** An answer that is not MLflow's API: an HTML page, truncated JSON, a redirect, missing or contradicting fields. */
  | "unexpected";

/** What is known of a failed call, as it came over the wire. Advice is found by these, never by our own sentences. */
export interface MlflowErrorFacts {
  /** Method and path, without parameters. */
  readonly call?: string | undefined;
  /** The Host header that was sent: name and, unless it is the scheme's own, port. */
  readonly host?: string | undefined;
  /** HTTP status; undefined when there was no complete answer. */
  readonly status?: number | undefined;
  /** Without its parameters, in lower case. */
  readonly contentType?: string | undefined;
  /** Bytes of the answer's body. */
  readonly size?: number | undefined;
  /** How the body begins, in one line, without markup and without our credentials. Still a foreign text. */
  readonly excerpt?: string | undefined;
  /** The Server header. */
  readonly server?: string | undefined;
  /** There was a WWW-Authenticate header. */
  readonly challenged?: boolean | undefined;
  /** Where a redirect leads, without what is behind its question mark. */
  readonly location?: string | undefined;
  /** `error_code` of an answer in MLflow's error format. */
  readonly code?: string | undefined;
  /** The message of an answer in MLflow's error format, which may be empty. */
  readonly reason?: string | undefined;
  /** The forward proxy that the call went through, and the variable that named it; as it may be shown. */
  readonly proxy?: string | undefined;
  /** The deadline passed before the answer was complete. */
  readonly timedOut?: boolean | undefined;
}

/** A call of MLflow failed, or its answer cannot be trusted. The message has cause and, where there is one, cure. */
export class MlflowError extends Error {
  /** What is known of the call; nothing when it never came to one. */
  readonly facts: MlflowErrorFacts;

  constructor(
    readonly kind: MlflowErrorKind,
    message: string,
    /** MLflow's `error_code`, such as INVALID_PARAMETER_VALUE, when it gave one. */
    readonly code?: string,
    options?: ErrorOptions & { readonly facts?: MlflowErrorFacts },
  ) {
    super(message, options);
    this.name = "MlflowError";
    this.facts = options?.facts ?? {};
  }
}
