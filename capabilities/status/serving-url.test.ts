import { describe, expect, it } from "vitest";
import { servingUrl } from "./serving-url";

const KEY = { model: "my model/\uD800", version: "3" };
const INTERNAL = "http://iris-predictor.models.svc.cluster.local";
const INGRESS = { disableIngressCreation: false, ingressDomain: "models.acme.org" };

describe("servingUrl", () => {
  const urlOf = (choice: string, external: string | undefined, ingress?: typeof INGRESS): string | undefined =>
    servingUrl(
      choice,
      { name: "iris", urls: { external, internal: INTERNAL } },
      { key: KEY, namespace: "models" },
      ingress,
    );

  it.each([
    ["a real domain", "http://iris.models.acme.org", INGRESS, "http://iris.models.acme.org"],
    ["KServe's default domain", "http://iris-models.example.com", INGRESS, INTERNAL],
    ["no ingress", "http://iris.models.acme.org", { ...INGRESS, disableIngressCreation: true }, INTERNAL],
    ["an unknown configuration", "http://iris.models.acme.org", undefined, INTERNAL],
    ["no address yet", undefined, INGRESS, INTERNAL],
  ])("with auto and %s", (_, external, ingress, expected) => {
    expect(urlOf("auto", external, ingress)).toBe(expected);
  });

  it("takes the one that it is told to take", () => {
    expect(urlOf("external", "http://iris-models.example.com")).toBe("http://iris-models.example.com");
    expect(urlOf("internal", "http://iris-models.example.com")).toBe(INTERNAL);
    expect(urlOf("https://acme.org/{{namespace}}/{{ name }}?m={{model_name}}-{{model_version}}", undefined)).toBe(
      "https://acme.org/models/iris?m=my%20model%2F%EF%BF%BD-3",
    );
  });

  it("is none for a service that does not serve", () => {
    expect(servingUrl("internal", { name: "iris", urls: undefined }, { key: KEY, namespace: "models" }, INGRESS)).toBe(
      undefined,
    );
  });
});
