import assert from "node:assert/strict";
import fc from "fast-check";
import { sign, TIMESTAMP_TOLERANCE, verify } from "../../../capabilities/server/webhook/signature";
import { hostileText } from "../../arbitraries";
import { fuzzProperty } from "../fuzz-property";

const NOW = 1_760_000_000;
const DIFFERENT_SECRETS = {
  valid: false,
  reason: "the signature does not match: MLflow's webhook and this module hold different secrets",
};

const delivery = fc.record({
  deliveryId: fc.oneof(fc.string({ minLength: 1 }), hostileText()),
  timestamp: fc.constant(String(NOW)),
  body: fc.uint8Array({ minLength: 1 }).map(bytes => Buffer.from(bytes)),
});

export const signedIsAccepted = fuzzProperty(
  "whatever was signed with one of the secrets is accepted",
  fc.tuple(delivery, fc.string(), fc.array(fc.string())),
  ([signed, secret, others]) => {
    const signature = sign(secret, signed.deliveryId, signed.timestamp, signed.body);
    assert.deepEqual(verify({ ...signed, signature }, [...others, secret], NOW), { valid: true });
  },
);

export const changedIsRefused = fuzzProperty(
  "a body of which one bit differs is refused",
  fc.tuple(delivery, fc.nat(), fc.nat(7)),
  ([signed, position, bit]) => {
    const signature = sign("geheim", signed.deliveryId, signed.timestamp, signed.body);
    const body = Buffer.from(signed.body);
    const at = position % body.length;
    body[at] = (body[at] ?? 0) ^ (1 << bit);
    assert.deepEqual(verify({ ...signed, body, signature }, ["geheim"], NOW), DIFFERENT_SECRETS);
  },
);

export const madeUpIsRefused = fuzzProperty(
  "no made-up signature is accepted, and none is answered with a secret or what it should be",
  fc.tuple(
    delivery,
    fc.oneof(
      hostileText(),
      fc.string(),
      fc.base64String().map(text => `v1,${text}`),
    ),
  ),
  ([signed, signature]) => {
    const answer = verify({ ...signed, signature }, ["geheim"], NOW);
    assert.deepEqual(answer, DIFFERENT_SECRETS);
  },
);

export const timestampIsChecked = fuzzProperty(
  "a signed timestamp is accepted exactly when it is a whole number of seconds within the tolerance",
  fc.tuple(
    delivery,
    fc.oneof(
      fc.integer({ min: -2 * TIMESTAMP_TOLERANCE, max: 2 * TIMESTAMP_TOLERANCE }).map(offset => String(NOW + offset)),
      fc.constantFrom(`${NOW}.0`, ` ${NOW}`, `+${NOW}`, `${NOW}e0`, `0x${NOW.toString(16)}`, `0${NOW}`, `-${NOW}`),
      fc.bigInt().map(String),
      hostileText(),
    ),
  ),
  ([signed, timestamp]) => {
    const signature = sign("geheim", signed.deliveryId, timestamp, signed.body);
    const { valid } = verify({ ...signed, timestamp, signature }, ["geheim"], NOW);
    const within = Math.abs(NOW - Number(timestamp)) <= TIMESTAMP_TOLERANCE;
    assert.equal(valid, /^[0-9]{1,12}$/.test(timestamp) && within);
  },
);
