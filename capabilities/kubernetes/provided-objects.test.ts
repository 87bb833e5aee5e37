import { describe, expect, it } from "vitest";
import packageJson from "../../package.json";
import { endpointService, targetNamespace } from "./provided-objects";

describe("endpointService", () => {
  const portsOf = (port: number, isHttps: boolean): unknown =>
    (endpointService("pepr-system", { port, isHttps }).body.spec as { ports: unknown }).ports;

  it.each([
    { what: "HTTP where it listens by default", port: 8000, isHttps: false, targets: [8000, 8443] },
    { what: "HTTP on another port", port: 9000, isHttps: false, targets: [9000, 8443] },
    { what: "HTTPS where it listens by default", port: 8000, isHttps: true, targets: [8000, 8000] },
    { what: "HTTPS on its usual port", port: 8443, isHttps: true, targets: [8000, 8443] },
  ])("leads to $what", ({ port, isHttps, targets: [http, https] }) => {
    expect(portsOf(port, isHttps)).toEqual([
      { name: "http", port: 80, targetPort: http, protocol: "TCP" },
      { name: "https", port: 443, targetPort: https, protocol: "TCP" },
    ]);
  });

  it("selects the pods of Pepr's admission Deployment", () => {
    const { body, path } = endpointService("elsewhere", { port: 8000, isHttps: false });
    expect(body.spec).toMatchObject({
      selector: { app: `pepr-${packageJson.pepr.uuid}`, "pepr.dev/controller": "admission" },
    });
    expect(body.metadata).toMatchObject({ namespace: "elsewhere" });
    expect(path).toBe("/api/v1/namespaces/elsewhere/services/mlflow-kserve-webhook-listener");
  });

  it("is what package.json gives rights for", () => {
    const rule = (resource: string): unknown =>
      packageJson.pepr.rbac.find(({ resources }) => resources.includes(resource));
    // Of any name, since endpoints are Services as well.
    expect(rule("services")).toMatchObject({ verbs: expect.arrayContaining(["get", "create", "patch"]) as string[] });
    expect(rule("services")).not.toHaveProperty("resourceNames");
    expect(rule("namespaces")).toMatchObject({ resourceNames: ["kserve-mlflow-models"] });
  });
});

describe("targetNamespace", () => {
  it("is ours by its label", () => {
    expect(targetNamespace("models")).toMatchObject({
      path: "/api/v1/namespaces/models",
      body: { kind: "Namespace", metadata: { labels: { "managed-by": "mlflow-kserve-webhook-listener" } } },
    });
  });
});
