import { expect, it } from "vitest";
import { cureFor } from "./webhook-pod-cures";

const withCode = (code: string): Error => Object.assign(new Error("it did not work"), { code });

it.each([
  ["ENOTFOUND", /there is no such Service, or it has no pods/],
  ["ENOENT", /MLFLOW_KSERVE_TLS_CERT_FILE, and that it is mounted/],
  ["ERR_TLS_CERT_ALTNAME_INVALID", /for the name pods\.example as well/],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", /must serve the certificate/],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", /must serve the certificate/],
  ["CERT_HAS_EXPIRED", /renew the certificate/],
  ["ERR_SSL_WRONG_VERSION_NUMBER", /must begin with https/],
  ["ECONNREFUSED", /see that it runs/],
  ["", /see that it runs/],
])("has a cure for %s, whatever it caused", (code, cure) => {
  expect(cureFor(withCode(code), "pods.example")).toMatch(cure);
  expect(cureFor(new Error("GET failed", { cause: withCode(code) }), "pods.example")).toMatch(cure);
});

it("has one for what has no code", () => {
  expect(cureFor("a text", "pods.example")).toMatch(/see that it runs/);
});
