import { createHmac, timingSafeEqual } from "node:crypto";

/** Seconds that a delivery's timestamp may be from our clock, before or after: the Standard Webhooks' recommendation. */
export const TIMESTAMP_TOLERANCE = 300;

/** What identifies and authenticates a delivery: three headers and the body, byte by byte as it came. */
export interface SignedDelivery {
  /** `X-MLflow-Delivery-Id` */
  readonly deliveryId: string;
  /** `X-MLflow-Timestamp`: Unix seconds, as text. */
  readonly timestamp: string;
  /** `X-MLflow-Signature`: `v1,<base64>`; several, separated by spaces, while a secret is being changed. */
  readonly signature: string;
  readonly body: Buffer;
}

export type Verification = { readonly valid: true } | { readonly valid: false; readonly reason: string };

/**
 * MLflow's signature of a delivery: HMAC-SHA256 of `<delivery id>.<timestamp>.<body>` in base64, prefixed `v1,`
 * (mlflow/webhooks/delivery.py, after the Standard Webhooks specification).
 */
export function sign(secret: string, deliveryId: string, timestamp: string, body: Buffer): string {
  const digest = createHmac("sha256", secret).update(`${deliveryId}.${timestamp}.`).update(body).digest("base64");
  return `v1,${digest}`;
}

/**
 * Checks a delivery against the secrets that are valid now, in constant time for each, and its timestamp against the
 * clock, both ways: a replayed delivery is too old, one made for later is too new.
 *
 * @param now Unix seconds
 */
export function verify(delivery: SignedDelivery, secrets: readonly string[], now: number): Verification {
  const { deliveryId, timestamp, signature, body } = delivery;
  const given = signature.split(" ").map(text => Buffer.from(text));
  let matches = false;
  for (const secret of secrets) {
    const expected = Buffer.from(sign(secret, deliveryId, timestamp, body));
    for (const candidate of given) {
      // No early end: how long it takes says nothing about which secret or candidate matched.
      if (candidate.length === expected.length && timingSafeEqual(candidate, expected)) matches = true;
    }
  }
  if (!matches) {
    return {
      valid: false,
      reason: "the signature does not match: MLflow's webhook and this module hold different secrets",
    };
  }
  // Checked after the signature, so that the clock is told only to those who know the secret.
  if (!/^\d{1,12}$/.test(timestamp)) return { valid: false, reason: "the timestamp is not in Unix seconds" };
  const age = now - Number(timestamp);
  if (Math.abs(age) > TIMESTAMP_TOLERANCE) {
    const direction = age > 0 ? "old" : "in the future";
    return {
      valid: false,
      reason: `the timestamp is ${Math.abs(Math.round(age))} s ${direction}, more than ${TIMESTAMP_TOLERANCE} s: a replayed delivery, or clocks that differ`,
    };
  }
  return { valid: true };
}
