import { randomUUID } from "node:crypto";
import type { ModelVersionKey } from "../../capabilities/support/model-version-key";
import { sign } from "../../capabilities/server/webhook/signature";

/** A delivery as MLflow sends it. */
export interface SignedRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/**
 * A delivery about the deploy tag of a version, signed now.
 *
 * @param age seconds since it was signed
 */
export function signedDelivery({ model, version }: ModelVersionKey, secret: string, age = 0): SignedRequest {
  const data = { name: model, version, key: "deploy", value: "true" };
  const event = { entity: "model_version_tag", action: "set", timestamp: new Date().toISOString(), data };
  return signed(JSON.stringify(event), secret, age);
}

/** Any text as the body of a correctly signed delivery. */
export function signed(text: string, secret: string, age = 0): SignedRequest {
  const body = Buffer.from(text);
  const deliveryId = randomUUID();
  const timestamp = String(Math.floor(Date.now() / 1000) - age);
  const headers = {
    "content-type": "application/json",
    "x-mlflow-delivery-id": deliveryId,
    "x-mlflow-timestamp": timestamp,
    "x-mlflow-signature": sign(secret, deliveryId, timestamp, body),
  };
  return { headers, body };
}
