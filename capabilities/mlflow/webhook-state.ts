export interface WebhookState {
  /**
   * `webhook`: deliveries arrive, as far as MLflow's own test shows. Otherwise polling has to do the work: with
   * `propagating` because not all of MLflow's processes may know the webhook yet.
   */
  readonly mode: "starting" | "propagating" | "webhook" | "fallback";
  /** Why it is not `webhook`, and what to do about it; one sentence. */
  readonly cause?: string;
  /** When deliveries were last seen to arrive. */
  readonly provenAt?: Date;
}
