import { describe, expect, it } from "vitest";
import { fakeCluster } from "../../test/support/unit/fake-cluster";
import { liveService, stateOfService } from "../../test/support/unit/objects";
import type { LiveChanges } from "../../test/support/unit/objects";
import packageJson from "../../package.json";
import { KubernetesError } from "../kubernetes/api-server";
import type { InferenceServices } from "../kserve/inference-services";
import type { ModuleStatus } from "../observability/health";
import { createMetrics } from "../observability/metrics";
import type { Answer } from "./answers";
import { createRoutes } from "./routes";
import type { RouteOptions } from "./routes";

const health = { mlflowConnected: true, kubernetesConnected: true };

interface Question {
  readonly health?: typeof health;
  readonly services?: InferenceServices;
  readonly status?: RouteOptions["status"];
  readonly metrics?: RouteOptions["metrics"];
  readonly query?: string;
  readonly closing?: boolean;
}

async function get(path: string, question: Question = {}): Promise<Answer> {
  const { all: routes } = createRoutes({
    deliveries: undefined,
    health: () => Promise.resolve(question.health ?? health),
    services: question.services ?? fakeCluster(),
    stateOf: stateOfService,
    status: question.status,
    metrics: question.metrics,
  });
  const handler = routes[path]?.GET;
  if (handler === undefined) throw new Error(`${path} has no GET`);
  return await handler({
    id: "1",
    header: () => undefined,
    query: new URLSearchParams(question.query),
    body: () => Promise.resolve(Buffer.alloc(0)),
    closing: question.closing ?? false,
  });
}

function bodyOf(answer: Answer): Readonly<Record<string, unknown>> {
  if ("json" in answer) return JSON.parse(answer.json.toString("utf8")) as Record<string, unknown>;
  if (!("body" in answer)) throw new Error("this answer is no JSON");
  return answer.body;
}

describe("the endpoint's paths", () => {
  it("have no webhook when the module works by polling alone", () => {
    const options = { health: () => Promise.resolve(health), services: fakeCluster(), stateOf: stateOfService };
    const deliveries = (): Promise<Answer> => Promise.resolve({ status: 200, body: {} });
    expect(Object.keys(createRoutes({ ...options, deliveries: undefined }).all)).toEqual([
      "/health",
      "/services",
      "/livez",
      "/readyz",
      "/",
    ]);
    expect(createRoutes({ ...options, deliveries }).all["/webhook"]).toEqual({ POST: deliveries });
  });

  it("tell of services and metrics only those for operations, which take no deliveries", () => {
    const { deliveries, operations } = createRoutes({
      deliveries: (): Promise<Answer> => Promise.resolve({ status: 200, body: {} }),
      health: () => Promise.resolve(health),
      services: fakeCluster(),
      stateOf: stateOfService,
      metrics: createMetrics(),
    });
    expect(Object.keys(deliveries)).toEqual(["/webhook", "/health", "/livez", "/readyz"]);
    expect(Object.keys(operations)).toEqual(["/health", "/services", "/metrics", "/livez", "/readyz", "/"]);
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
      body: {
        status: text,
        mlflow_connected: mlflowConnected,
        kubernetes_connected: kubernetesConnected,
        mode: "starting",
        last_successful_poll: null,
        version: packageJson.version,
      },
    });
  });

  it("tells the mode with its cause, and the last successful poll", async () => {
    const now: ModuleStatus = { mode: "fallback", cause: "http is refused", lastSuccessfulPoll: new Date(0) };
    expect(bodyOf(await get("/health", { status: () => now }))).toMatchObject({
      mode: "fallback",
      cause: "http is refused",
      last_successful_poll: "1970-01-01T00:00:00.000Z",
    });
  });
});

describe("the probes", () => {
  it("are answered 200, and readiness 503 with Retry-After while the server is being closed", async () => {
    expect(await get("/livez")).toEqual({ status: 200, body: { status: "alive" } });
    expect(await get("/livez", { closing: true })).toMatchObject({ status: 200 });
    expect(await get("/readyz")).toEqual({ status: 200, body: { status: "ready" } });
    expect(await get("/readyz", { closing: true })).toEqual({
      status: 503,
      body: { status: "error", message: "the module is shutting down" },
      headers: { "retry-after": "5" },
    });
  });

  it("say that the module is not ready before all of it is up, and that it lives", async () => {
    let isUp = false;
    const options = {
      deliveries: undefined,
      services: fakeCluster(),
      stateOf: stateOfService,
      health: () => Promise.resolve(health),
    };
    const { all: routes } = createRoutes({ ...options, isReady: () => isUp });
    const statusOf = async (path: string): Promise<unknown> => await routes[path]?.GET?.({ closing: false } as never);
    expect(await statusOf("/readyz")).toMatchObject({ status: 503, headers: { "retry-after": "1" } });
    expect(await statusOf("/livez")).toMatchObject({ status: 200 });
    isUp = true;
    expect(await statusOf("/readyz")).toMatchObject({ status: 200 });
  });

  it("ask nobody", async () => {
    const options = { deliveries: undefined, services: fakeCluster(), stateOf: stateOfService };
    const { all: routes } = createRoutes({ ...options, health: () => Promise.reject(new Error("asked")) });
    for (const path of ["/livez", "/readyz"]) {
      const handler = routes[path]?.GET;
      expect(await handler?.({ closing: false } as never)).toMatchObject({ status: 200 });
    }
  });
});

describe("GET /metrics", () => {
  it("is what the metrics render, in their content type", async () => {
    const metrics = createMetrics();
    expect(await get("/metrics", { metrics })).toEqual({
      status: 200,
      text: await metrics.render(),
      contentType: "text/plain; version=0.0.4; charset=utf-8",
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
    const answer = await get("/services", {
      services: fakeCluster(liveService({ model: "My Iris", version: "3" }, changes)),
    });
    return (bodyOf(answer).services as unknown[])[0];
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
    });
  });

  it.each([
    [condition("False", { message: "no image" }), "Failed", "no image"],
    [
      condition("False", { message: "GET https://models.s3/a?X-Amz-Signature=abc failed" }),
      "Failed",
      "GET https://models.s3/a?*** failed",
    ],
    [condition("Unknown"), "Failed", undefined],
    [{}, "Failed", undefined],
  ])("tells what is not ready, since when and why (%#)", async (changes, status, message) => {
    const since = "2026-01-02T03:04:05Z";
    expect(await describeOne(changes)).toMatchObject({ status, since, ...(message === undefined ? {} : { message }) });
  });

  it("is empty when nothing is served", async () => {
    expect(await get("/services")).toEqual({ status: 200, json: Buffer.from('{"services":[]}') });
  });

  it("tells since when one is being deleted", async () => {
    const deletionTimestamp = "2026-03-04T05:06:07Z";
    const going = { ...condition("True"), metadata: { deletionTimestamp } };
    expect(await describeOne(going)).toMatchObject({ status: "Stopping", since: deletionTimestamp });
  });

  it("comes in pages", async () => {
    const models = ["a", "b", "c"];
    const services = fakeCluster(...models.map(model => liveService({ model, version: "1" })));
    const first = bodyOf(await get("/services", { services, query: "limit=2" }));
    const second = bodyOf(await get("/services", { services, query: `limit=2&continue=${String(first.continue)}` }));
    const names = [first, second].map(({ services: list }) =>
      (list as { model_name: string }[]).map(one => one.model_name),
    );
    expect(names).toEqual([["a", "b"], ["c"]]);
    expect(second).not.toHaveProperty("continue");
  });

  it("has 100 in a page unless told otherwise, and 500 at the most", async () => {
    const asked: [number, string | undefined][] = [];
    const listPage: InferenceServices["listPage"] = (limit, next) => {
      asked.push([limit, next]);
      return Promise.resolve({ items: [], next: undefined });
    };
    const services = { ...fakeCluster(), listPage };
    await get("/services", { services });
    await get("/services", { services, query: "limit=500&continue=abc%3D" });
    expect(asked).toEqual([
      [100, undefined],
      [500, "abc="],
    ]);
  });

  it.each([
    ["limit=0", "limit: must be a whole number from 1 to 500"],
    ["limit=501", "limit: must be a whole number from 1 to 500"],
    ["limit=", "limit: must be a whole number from 1 to 500"],
    ["limit=1e2", "limit: must be a whole number from 1 to 500"],
    ["limit=1&limit=2", "limit: must be given once"],
    ["continue=", "continue: must be as the page before gave it"],
    [`continue=${"x".repeat(4097)}`, "continue: must be as the page before gave it"],
    ["page=2", "the parameters are limit and continue"],
  ])("refuses ?%s", async (query, message) => {
    expect(await get("/services", { query })).toEqual({ status: 400, body: { status: "error", message } });
  });

  it.each([
    [new KubernetesError(403, "Forbidden", "no"), "", 500, "no"],
    [new KubernetesError(400, "BadRequest", "strange"), "", 500, "strange"],
    [new KubernetesError(400, "BadRequest", "strange"), "continue=x", 400, "continue: strange"],
    [new KubernetesError(410, "Expired", "old"), "continue=x", 410, "continue: too old; begin again without it"],
  ])("tells why there is no list (%o)", async (error, query, status, message) => {
    const services = { ...fakeCluster(), listPage: () => Promise.reject(error) };
    expect(await get("/services", { services, query })).toEqual({ status, body: { status: "error", message } });
  });
});
