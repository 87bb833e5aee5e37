import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as properties from "../../../test/fuzz/properties/signature";
import { sign, verify } from "./signature";

const NOW = 1_760_000_000;
const BODY = Buffer.from('{"entity":"model_version_tag"}');
const DELIVERY = { deliveryId: "7d8f3c1e-0000-4000-8000-000000000001", timestamp: String(NOW), body: BODY };
const SIGNATURE = sign("geheim", DELIVERY.deliveryId, DELIVERY.timestamp, BODY);

const DIFFERENT_SECRETS = {
  valid: false,
  reason: "the signature does not match: MLflow's webhook and this module hold different secrets",
};

function verifySignature(signature: string, secrets: readonly string[] = ["geheim"]): unknown {
  return verify({ ...DELIVERY, signature }, secrets, NOW);
}

describe("sign", () => {
  // Computed with Python's hmac, as MLflow does (mlflow/webhooks/delivery.py, _generate_hmac_signature).
  it("makes MLflow's signature", () => {
    expect(SIGNATURE).toBe("v1,viT0YrKrTZqVFZl9FwuL6dQgLO9LPp1JQmkJo8M1UBg=");
    expect(sign("schlüssel 🔑", "id", "1760000000", Buffer.from('{"name":"模型"}'))).toBe(
      "v1,fhHg47khu6LBjbzgBeIcba2N9qcY68voO5/x2zuuWhw=",
    );
  });
});

describe("verify", () => {
  it(properties.signedIsAccepted.name, () => properties.signedIsAccepted.assert({ numRuns: 100 }));

  it(properties.changedIsRefused.name, () => properties.changedIsRefused.assert({ numRuns: 100 }));
  it(properties.madeUpIsRefused.name, () => properties.madeUpIsRefused.assert({ numRuns: 100 }));
  it(properties.timestampIsChecked.name, () => properties.timestampIsChecked.assert({ numRuns: 100 }));

  it.each([
    ["another delivery id", { deliveryId: "other" }],
    ["another timestamp", { timestamp: String(NOW + 1) }],
    ["an empty body", { body: Buffer.alloc(0) }],
  ])("refuses a signature that was made for %s", (_, change) => {
    expect(verify({ ...DELIVERY, signature: SIGNATURE, ...change }, ["geheim"], NOW)).toEqual(DIFFERENT_SECRETS);
  });

  it.each([
    ["an empty one", ""],
    ["one without v1,", SIGNATURE.slice(3)],
    ["another version", SIGNATURE.replace("v1,", "v2,")],
    ["the version alone", "v1,"],
    ["one without its padding", SIGNATURE.slice(0, -1)],
    ["another alphabet of base64", SIGNATURE.replaceAll("/", "_")],
    ["hexadecimal digits", `v1,${Buffer.from(SIGNATURE.slice(3), "base64").toString("hex")}`],
    ["letters that only look alike", SIGNATURE.replace("v1", "ν1")],
    ["two joined by a comma, as Node joins a header that is there twice", `${SIGNATURE}, ${sign("x", "y", "1", BODY)}`],
    ["white space other than a blank", `${SIGNATURE}\t`],
  ])("refuses %s", (_, signature) => {
    // Guards the tables against a replacement that changed nothing.
    if (signature !== SIGNATURE) expect(verifySignature(signature)).toEqual(DIFFERENT_SECRETS);
  });

  it("accepts several signatures of which one matches, at any place", () => {
    const other = sign("another", DELIVERY.deliveryId, DELIVERY.timestamp, BODY);
    expect(verifySignature(`${SIGNATURE} ${other}`)).toEqual({ valid: true });
    expect(verifySignature(`${other}  v1, v1a,x ${SIGNATURE}`)).toEqual({ valid: true });
    expect(verifySignature(`${other} ${other}`)).toEqual(DIFFERENT_SECRETS);
  });

  it("accepts no delivery while there is no secret", () => {
    expect(verifySignature(SIGNATURE, [])).toEqual(DIFFERENT_SECRETS);
  });

  it("never names a secret or what the signature should be", () => {
    fc.assert(
      fc.property(fc.string(), signature => {
        const answer = JSON.stringify(verifySignature(signature));
        expect(answer).not.toContain("geheim");
        expect(answer).not.toContain(SIGNATURE.slice(3));
      }),
    );
  });

  describe("with a correct signature", () => {
    const at = (timestamp: string, now: number): ReturnType<typeof verify> =>
      verify(
        { ...DELIVERY, timestamp, signature: sign("geheim", DELIVERY.deliveryId, timestamp, BODY) },
        ["geheim"],
        now,
      );

    it("says how far the clocks are apart, and which way", () => {
      expect(at(String(NOW), NOW + 301)).toEqual({
        valid: false,
        reason: "the timestamp is 301 s old, more than 300 s: a replayed delivery, or clocks that differ",
      });
      expect(at(String(NOW), NOW - 7200)).toEqual({
        valid: false,
        reason: "the timestamp is 7200 s in the future, more than 300 s: a replayed delivery, or clocks that differ",
      });
    });

    it.each([
      "",
      "now",
      "1760000000.5",
      "-1760000000",
      "0x68E77800",
      " 1760000000",
      "1.76e9",
      "1760000000\n",
      "٣",
      "NaN",
    ])("refuses %j as a timestamp", timestamp => {
      expect(at(timestamp, NOW)).toEqual({ valid: false, reason: "the timestamp is not in Unix seconds" });
    });

    it("refuses milliseconds", () => {
      expect(at(`${NOW}000`, NOW).valid).toBe(false);
    });
  });
});
