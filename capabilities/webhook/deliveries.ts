import { KubernetesError } from "../kserve/api-server";
import { MlflowError } from "../mlflow/errors";
import type { ModelVersionKey } from "../model-version-key";
import { messageOf } from "../operations/logging";
import type { Log } from "../operations/logging";
import { ForeignObjectError, RefusedError } from "../reconciliation/errors";
import type { Outcome } from "../reconciliation/reconciler";
import { parseEvent } from "./event";
import { errorAnswer } from "./http-server";
import type { Handler, JsonAnswer } from "./http-server";
import { verify } from "./signature";

export interface DeliveryOptions {
  /** The secrets that are valid now. */
  readonly secrets: () => readonly string[];
  readonly deployTagKey: string;
  readonly namespace: string;
  readonly reconcile: (key: ModelVersionKey) => Promise<Outcome>;
  readonly log: Log;
}

/**
 * `POST /webhook`: verifies one delivery of MLflow's, reconciles the version it is about, and answers after the Apply or
 * Delete was acknowledged, so that MLflow's own retries (429, 500, 502, 503, 504) work for us.
 */
export function createDeliveryHandler(options: DeliveryOptions): Handler {
  const { secrets, deployTagKey, namespace, reconcile, log } = options;

  return async ({ header, body }) => {
    const receivedAt = new Date();
    const start = performance.now();
    const deliveryId = header("x-mlflow-delivery-id");
    const timestamp = header("x-mlflow-timestamp");
    const signature = header("x-mlflow-signature");
    const about = { delivery_id: deliveryId, received_at: receivedAt.toISOString() };
    const refuse = (status: number, message: string): JsonAnswer => {
      log.warn({ ...about, status, cause: message }, "Delivery refused");
      return errorAnswer(status, message);
    };

    if (signature === undefined)
      return refuse(401, "the header X-MLflow-Signature is missing: give MLflow's webhook a secret");
    if (!deliveryId || !timestamp) {
      const missing = deliveryId ? "X-MLflow-Timestamp" : "X-MLflow-Delivery-Id";
      return refuse(400, `the header ${missing} is missing`);
    }
    const verification = verify({ deliveryId, timestamp, signature, body }, secrets(), receivedAt.getTime() / 1000);
    if (!verification.valid) return refuse(401, verification.reason);

    const event = parseEvent(body, deployTagKey);
    if (event.kind === "malformed") return refuse(400, event.problems.join("; "));
    if (event.kind === "ignored") {
      log.debug({ ...about, entity: event.entity, event_action: event.action, action: "ignored" }, "Delivery ignored");
      return { status: 200, body: { status: "success", action: "ignored", namespace, message: event.reason } };
    }

    const { model, version } = event.key;
    const fields = (): Record<string, unknown> => ({
      ...about,
      model,
      version,
      duration_ms: Math.round((performance.now() - start) * 100) / 100,
    });
    try {
      const outcome = await reconcile(event.key);
      log.info(
        {
          ...fields(),
          inference_service: outcome.inferenceService,
          action: outcome.action,
          ...(outcome.reason === undefined ? {} : { reason: outcome.reason }),
          mlflow_ms: outcome.mlflowMilliseconds,
          kubernetes_ms: outcome.kubernetesMilliseconds,
        },
        "Delivery handled",
      );
      return {
        status: 200,
        body: {
          status: "success",
          action: outcome.action,
          inference_service: outcome.inferenceService,
          namespace: outcome.namespace,
          ...(outcome.reason === undefined ? {} : { message: outcome.reason }),
        },
      };
    } catch (error) {
      const status = statusOf(error);
      log.error({ ...fields(), status, cause: messageOf(error) }, "Delivery failed");
      return errorAnswer(status, messageOf(error));
    }
  };
}

/** MLflow tries again after 500, 502 and 503; what another try cannot heal gets a status that it does not retry. */
function statusOf(error: unknown): number {
  if (error instanceof MlflowError) return 502;
  if (error instanceof ForeignObjectError) return 409;
  if (error instanceof RefusedError) return 422;
  if (error instanceof KubernetesError && isRejection(error)) return 422;
  return 500;
}

/**
 * The object itself was rejected: by validation, or by an admission webhook, whose answer is 403 unless it says otherwise
 * (controller-runtime's, so KServe's, does not). Without RBAC it is 403 too, but that can be healed.
 */
function isRejection({ status, message }: KubernetesError): boolean {
  return (
    status === 400 || status === 422 || (status === 403 && /^admission webhook .* denied the request/s.test(message))
  );
}
