import type { ModelVersionKey } from "../../support/model-version-key";
import { withoutSecrets } from "../../support/foreign-text";
import { limitWarnings } from "../../observability/limited-warnings";
import type { Log } from "../../observability/logging";
import type { DeliveryResult, Metrics, RejectionReason } from "../../observability/metrics";
import { describeFailure } from "../../reconciliation/failures";
import type { ToldTag } from "../../reconciliation/lagging-reads";
import type { Outcome } from "../../reconciliation/reconciler";
import { busyAnswer, errorAnswer, shuttingDown } from "../answers";
import type { JsonAnswer } from "../answers";
import { parseEvent } from "./event";
import type { FollowedWords } from "./event";
import { BodyError } from "../request-body";
import type { HttpRequest } from "../http-server";
import { createRefusalPacing } from "./refusal-pacing";
import { verify } from "./signature";

/** Deliveries worked on at once: more than all processes of a usual MLflow send together (4 with 10 workers each). */
const MAXIMUM_UNDER_WAY = 500;

/** Seconds after which MLflow may try again when too much is under way; it obeys. */
const OVERLOAD_RETRY_AFTER = 1;

/**
 * What is turned away beside deliveries that are worked on: a twentieth of a processor's time. An MLflow whose secret is
 * wrong sends far less.
 */
const REFUSALS_BESIDE_DELIVERIES = { perSecond: 500, lingers: 100 };

/** Anybody who reaches the endpoint can be refused as often as they like. */
const REFUSALS_LOGGED = { lines: 100, interval: 60_000 };

const NOTHING_SERVED = "no version of the model is served, and none is to be";

export interface DeliveryOptions {
  /** The secrets that are valid now. */
  readonly secrets: () => readonly string[];
  readonly followed: FollowedWords;
  /** MLflow's workspace whose versions are served; its default one when left out. */
  readonly workspace?: string | undefined;
  readonly namespace: string;
  /** Makes the cluster match what MLflow says about the version; `told` is what the event says of the deploy tag. */
  readonly reconcile: (key: ModelVersionKey, told: ToldTag | undefined, deliveryId: string) => Promise<Outcome>;
  /**
   * Makes the cluster match what MLflow says about all versions of the model that are served, and the one that an alias was
   * set on. Resolves with what was done about that one, or about the first that anything was done about; undefined for none.
   */
  readonly reconcileModel: (
    model: string,
    version: string | undefined,
    deliveryId: string,
  ) => Promise<Outcome | undefined>;
  readonly log: Log;
  /** Deliveries about the deploy tag and aliases that are worked on at once; further ones are answered 429. */
  readonly maximumUnderWay?: number | undefined;
  readonly metrics?: Pick<Metrics, "eventReceived" | "deliveryAnswered" | "deliveryRejected" | "processed"> | undefined;
}

/**
 * `POST /webhook`: verifies one delivery of MLflow's, reconciles the version it is about, and answers after the Apply or
 * Delete was acknowledged, so that MLflow's own retries (429, 500, 502, 503, 504) work for us.
 */
export function createDeliveryHandler(options: DeliveryOptions): (request: HttpRequest) => Promise<JsonAnswer> {
  const {
    secrets,
    followed,
    workspace,
    namespace,
    reconcile,
    reconcileModel,
    log,
    metrics,
    maximumUnderWay = MAXIMUM_UNDER_WAY,
  } = options;
  let underWay = 0;
  const pacing = createRefusalPacing(REFUSALS_BESIDE_DELIVERIES);
  const warn = limitWarnings(log, "webhook_deliveries_rejected_total", REFUSALS_LOGGED);

  return async request => {
    const receivedAt = new Date();
    const start = performance.now();
    const { header } = request;
    const deliveryId = header("x-mlflow-delivery-id");
    const timestamp = header("x-mlflow-timestamp");
    const signature = header("x-mlflow-signature");
    const about = {
      ...(deliveryId === request.id ? { delivery_id: request.id } : { request_id: request.id }),
      received_at: receivedAt.toISOString(),
    };
    const reject = (answer: JsonAnswer, reason: RejectionReason): JsonAnswer => {
      metrics?.deliveryRejected(reason);
      metrics?.deliveryAnswered(resultOf(answer.status));
      warn({ ...about, status: answer.status, cause: answer.body.message }, "Delivery refused");
      return answer;
    };
    const refuse = async (status: number, reason: RejectionReason, message: string): Promise<JsonAnswer> => {
      if (!request.closing) await pacing.turn();
      return reject(errorAnswer(status, message), reason);
    };

    if (request.closing) return reject(shuttingDown(), "shutting_down");
    const formProblem = problemOfForm(header("content-type"), header("content-encoding"));
    if (formProblem !== undefined) return await refuse(415, "unsupported_media_type", formProblem);
    if (signature === undefined) {
      const message = "the header X-MLflow-Signature is missing: give MLflow's webhook a secret";
      return await refuse(401, "unauthenticated", message);
    }
    if (!deliveryId || !timestamp) {
      const missing = deliveryId ? "X-MLflow-Timestamp" : "X-MLflow-Delivery-Id";
      return await refuse(400, "missing_header", `the header ${missing} is missing`);
    }
    let body: Buffer;
    try {
      body = await request.body();
    } catch (error) {
      if (!(error instanceof BodyError)) throw error;
      const reasons: Readonly<Record<number, RejectionReason>> = { 413: "too_large", 503: "overloaded" };
      return reject(error.answer, reasons[error.answer.status] ?? "malformed");
    }
    const verification = verify({ deliveryId, timestamp, signature, body }, secrets(), receivedAt.getTime() / 1000);
    if (!verification.valid) return await refuse(401, "unauthenticated", verification.reason);

    const event = parseEvent(body, followed, workspace);
    if (event.kind === "malformed") return await refuse(400, "malformed", event.problems.join("; "));
    const isTest = event.kind === "ignored" && event.isTest;
    if (!isTest) metrics?.eventReceived(event.entity, event.action);
    if (event.kind === "ignored") {
      if (!isTest) metrics?.deliveryAnswered("ignored");
      log.debug({ ...about, entity: event.entity, event_action: event.action, action: "ignored" }, "Delivery ignored");
      return { status: 200, body: { status: "success", action: "ignored", namespace, message: event.reason } };
    }
    // Only now: who has not the secret can take nobody's place.
    if (underWay >= maximumUnderWay) {
      const message = `${maximumUnderWay} deliveries are under way already; try again`;
      return reject(busyAnswer(429, message, OVERLOAD_RETRY_AFTER), "overloaded");
    }

    const { model, version } = event.kind === "alias" ? event : event.key;
    const fields = (): Record<string, unknown> => ({
      ...about,
      model,
      version,
      duration_ms: Math.round((performance.now() - start) * 100) / 100,
    });
    underWay++;
    try {
      const work =
        event.kind === "alias"
          ? reconcileModel(event.model, event.version, request.id)
          : reconcile(event.key, event.told, request.id);
      const outcome = (await pacing.during(work)) ?? { action: "ignored", namespace, reason: NOTHING_SERVED };
      log.info(
        {
          ...fields(),
          ...("inferenceService" in outcome && {
            inference_service: outcome.inferenceService,
            mlflow_ms: outcome.mlflowMilliseconds,
            kubernetes_ms: outcome.kubernetesMilliseconds,
          }),
          action: outcome.action,
          ...(outcome.reason === undefined ? {} : { reason: outcome.reason }),
        },
        "Delivery handled",
      );
      metrics?.deliveryAnswered("success");
      return {
        status: 200,
        body: {
          status: "success",
          action: outcome.action,
          ...("inferenceService" in outcome && { inference_service: outcome.inferenceService }),
          namespace: outcome.namespace,
          ...(outcome.reason === undefined ? {} : { message: withoutSecrets(outcome.reason) }),
        },
      };
    } catch (error) {
      const { answer: status, message: cause } = describeFailure(error, {
        key: { model, version: version ?? "" },
        namespace,
      });
      log.error({ ...fields(), status, cause }, "Delivery failed");
      metrics?.deliveryAnswered(resultOf(status));
      return errorAnswer(status, cause);
    } finally {
      underWay--;
      metrics?.processed((performance.now() - start) / 1000);
    }
  };
}

/** What an answer that is no 200 counts as. */
function resultOf(status: number): DeliveryResult {
  if (status >= 500 || status === 429) return "error";
  return status === 409 || status === 422 ? "refused" : "rejected";
}

/** JSON in UTF-8 as it is: the signature is over the bytes that came, and nothing here unpacks any. */
function problemOfForm(contentType: string | undefined, contentEncoding: string | undefined): string | undefined {
  if (contentEncoding !== undefined) return "the header Content-Encoding is not supported: send the JSON as it is";
  if (contentType === undefined || !/^application\/json\s*(;\s*charset\s*=\s*"?utf-8"?\s*)?$/i.test(contentType))
    return "the header Content-Type must be application/json";
  return undefined;
}
