import { expect, it } from "vitest";
import { installationIdFrom } from "./installation-id";

function token(claims: unknown): string {
  return ["e30", Buffer.from(JSON.stringify(claims)).toString("base64url"), "signature"].join(".");
}

it("is the uid of the ServiceAccount, the same for all its pods", () => {
  const pod = (name: string): string =>
    token({
      "kubernetes.io": { namespace: "pepr-system", pod: { name }, serviceaccount: { name: "x", uid: "0a-1b" } },
    });
  expect(installationIdFrom(pod("one"), "other")).toBe("0a-1b");
  expect(installationIdFrom(pod("two"), "other")).toBe("0a-1b");
});

it.each([undefined, "", "opaque", "a.b.c", token(null), token({ "kubernetes.io": {} })])(
  "is what is given where the token %j has none",
  given => {
    expect(installationIdFrom(given, "pepr-system/models")).toBe("pepr-system/models");
  },
);
