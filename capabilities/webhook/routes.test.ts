import { describe, expect, it } from "vitest";
import { fakeCluster } from "../../test/support/unit/fake-cluster";
import { liveService } from "../../test/support/unit/objects";
import type { LiveChanges } from "../../test/support/unit/objects";
import { KubernetesError } from "../kserve/api-server";
import type { InferenceServices } from "../kserve/inference-services";
import type { JsonAnswer } from "./http-server";
import { createRoutes } from "./routes";

const health = { mlflowConnected: true, kubernetesConnected: true };

async function get(
  path: "/health" | "/services",
  options: { readonly health?: typeof health; readonly services?: InferenceServices } = {},
): Promise<JsonAnswer> {
  const routes = createRoutes({
    deliveries: undefined,
    health: () => Promise.resolve(options.health ?? health),
    services: options.services ?? fakeCluster(),
  });
  const handler = routes[path]?.GET;
  if (handler === undefined) throw new Error(`${path} has no GET`);
  return await handler({ header: () => undefined, body: Buffer.alloc(0) });
}

describe("the endpoint's paths", () => {
  it("have no webhook when the module works by polling alone", () => {
    const options = { health: () => Promise.resolve(health), services: fakeCluster() };
    const deliveries = (): Promise<JsonAnswer> => Promise.resolve({ status: 200, body: {} });
    expect(Object.keys(createRoutes({ ...options, deliveries: undefined }))).toEqual(["/health", "/services"]);
    expect(createRoutes({ ...options, deliveries })["/webhook"]).toEqual({ POST: deliveries });
  });
});

describe("GET /health", () => {
  it.each([
    [true, true, 200, "healthy"],
    [false, true, 503, "unhealthy"],
    [true, false, 503, "unhealthy"],
    [false, false, 503, "unhealthy"],
  ])("with MLflow %s and Kubernetes %s is %i", async (mlflowConnected, kubernetesConnected, status, text) => {
    expect(await get("/health", { health: { mlflowConnected, kubernetesConnected } })).toEqual({
      status,
      body: { status: text, mlflow_connected: mlflowConnected, kubernetes_connected: kubernetesConnected },
    });
  });
});

describe("GET /services", () => {
  const condition = (status: string, more: Readonly<Record<string, string>> = {}): LiveChanges => ({
    status: {
      url: "http://iris.example.com",
      conditions: [
        { type: "Other", status: "True" },
        { type: "Ready", status, ...more },
      ],
    },
  });
  const describeOne = async (changes: LiveChanges): Promise<unknown> => {
    const { body } = await get("/services", {
      services: fakeCluster(liveService({ model: "My Iris", version: "3" }, changes)),
    });
    return (body.services as unknown[])[0];
  };

  it("tells name, model, version, state and URL of each", async () => {
    const name = liveService({ model: "My Iris", version: "3" }).metadata.name;
    expect(await describeOne(condition("True", { lastTransitionTime: "2026-02-03T04:05:06Z" }))).toEqual({
      name,
      namespace: "models",
      model_name: "My Iris",
      model_version: "3",
      status: "Ready",
      url: "http://iris.example.com",
      since: "2026-02-03T04:05:06Z",
      message: undefined,
    });
  });

  it.each([
    [condition("False", { message: "no image" }), "NotReady", "no image"],
    [condition("Unknown"), "Pending", undefined],
    [{}, "Pending", undefined],
  ])("tells what is not ready, since when and why (%#)", async (changes, status, message) => {
    expect(await describeOne(changes)).toMatchObject({ status, message, since: "2026-01-02T03:04:05Z" });
  });

  it("is empty when nothing is served", async () => {
    expect(await get("/services")).toEqual({ status: 200, body: { services: [] } });
  });

  it("is 500 with the cause when the API server does not answer", async () => {
    const services = {
      ...fakeCluster(),
      listManaged: () => Promise.reject(new KubernetesError(403, "Forbidden", "no")),
    };
    expect(await get("/services", { services })).toEqual({ status: 500, body: { status: "error", message: "no" } });
  });
});
