import { describe, expect, inject, it } from "vitest";
import { MAXIMUM_BODY_SIZE } from "../../capabilities/server/request-body";
import { startListener, uniqueModel } from "../support/listener-fixture";
import { listManaged } from "../support/managed-services";
import { openRegistry } from "../support/mlflow-registry";
import { waitFor } from "../support/waiting";
import { testKubectl } from "../testbed/namespaces";

const registry = openRegistry(inject("mlflowTrackingUri"));

describe("a delivery about the deploy tag", () => {
  it("creates, leaves alone, and deletes the InferenceService", async () => {
    const { deliver, services, deployed, namespace, listener } = await startListener();
    const key = await registry.register(uniqueModel("iris"), "s3://models/iris/1", { deploy: "true" });

    const created = await deliver(key);
    expect(created).toEqual({
      status: 200,
      body: { status: "success", action: "created", inference_service: `mlflow-${key.model}-v1`, namespace },
    });
    const live = await services.get(`mlflow-${key.model}-v1`);
    expect(live?.spec).toMatchObject({
      predictor: {
        model: {
          modelFormat: { name: "mlflow" },
          protocolVersion: "v2",
          storageUri: "s3://models/iris/1/",
          resources: { requests: { cpu: "100m", memory: "512Mi" }, limits: { cpu: "1", memory: "2Gi" } },
        },
      },
    });
    expect(live?.metadata.labels).toMatchObject({
      "managed-by": "mlflow-kserve-webhook-listener",
      "mlflow.model": key.model,
      "mlflow.version": "1",
    });

    expect((await deliver(key)).body).toMatchObject({ action: "unchanged" });

    // Or the second look would see the tag go, and be first.
    await listener.idle();
    await registry.deleteTag(key, "deploy");
    expect((await deliver(key, "deleted")).body).toMatchObject({ status: "success", action: "deleted" });
    expect(await deployed()).toEqual([]);
    await waitFor("the end of the service", async () =>
      (await services.get(`mlflow-${key.model}-v1`)) === undefined ? true : undefined,
    );

    expect(await deliver(key, "deleted")).toMatchObject({ status: 200, body: { action: "unchanged" } });
  });

  it("goes by the tag as it is now, not by what the event says", async () => {
    const { deliver, deployed, listener } = await startListener();
    const key = await registry.register(uniqueModel("late"), "s3://models/late", { deploy: "true" });

    // A "deleted" that was overtaken by a "set", and a "set" whose tag is gone again.
    expect((await deliver(key, "deleted")).body).toMatchObject({ action: "created" });
    await listener.idle();
    await registry.setTag(key, "deploy", "false");
    // "deleted", or "unchanged" where a look that the first event's disagreement caused has seen it before.
    expect((await deliver(key, "set")).status).toBe(200);
    expect(await deployed()).toEqual([]);
  });

  it("deletes the service of a version that was deleted in MLflow", async () => {
    const { deliver, deployed } = await startListener();
    const key = await registry.register(uniqueModel("gone"), "s3://models/gone", { deploy: "true" });
    await deliver(key);

    await registry.deleteVersion(key);

    // "deleted", or "unchanged" where the second look of the first delivery has seen it before.
    expect((await deliver(key, "deleted")).status).toBe(200);
    expect(await deployed()).toEqual([]);
  });

  it("updates the service after a change of settings", async () => {
    const first = await startListener();
    const key = await registry.register(uniqueModel("resized"), "s3://models/resized", { deploy: "true" });
    await first.deliver(key);

    const second = await startListener({ namespace: first.namespace, settings: { PREDICTOR_MEMORY_LIMIT: "3Gi" } });

    expect((await second.deliver(key)).body).toMatchObject({ action: "updated" });
    const live = await second.services.get(`mlflow-${key.model}-v1`);
    expect(live?.spec).toMatchObject({ predictor: { model: { resources: { limits: { memory: "3Gi" } } } } });
  });

  it("takes Python's True for true", async () => {
    const { deliver } = await startListener();
    const key = await registry.register(uniqueModel("python"), "s3://models/python", { deploy: "True" });

    expect((await deliver(key)).body).toMatchObject({ action: "created" });
  });

  it("serves model names with quotes, spaces and non-Latin letters", async () => {
    const { deliver, services } = await startListener();
    for (const name of [`it's "quoted"`, "с пробелом", "{{name}} [x] # y", "a\nb"]) {
      const key = await registry.register(uniqueModel(name), "s3://models/any", { deploy: "true" });
      expect((await deliver(key)).body, name).toMatchObject({ action: "created" });
      const live = await listManaged(services);
      expect(live.map(({ metadata }) => metadata.annotations["mlflow.model"])).toContain(key.model);
    }
  });

  it("leaves an InferenceService of the same name that somebody else made untouched", async () => {
    const { deliver, services, namespace } = await startListener();
    const key = await registry.register(uniqueModel("taken"), "s3://models/taken", { deploy: "true" });
    const foreign = {
      apiVersion: "serving.kserve.io/v1beta1",
      kind: "InferenceService",
      metadata: { name: `mlflow-${key.model}-v1`, namespace },
      spec: { predictor: { model: { modelFormat: { name: "sklearn" }, storageUri: "s3://somebody/else" } } },
    };
    await testKubectl()(["create", "-f", "-"], JSON.stringify(foreign));
    const before = await services.get(foreign.metadata.name);

    const refused = await deliver(key);
    expect(refused.status).toBe(409);
    expect(refused.body.message).toMatch(/was not made by this module.*delete or rename it/s);
    await registry.deleteTag(key, "deploy");
    expect(await deliver(key, "deleted")).toMatchObject({ status: 200, body: { action: "unchanged" } });

    const after = await services.get(foreign.metadata.name);
    expect(after?.spec).toEqual(before?.spec);
    expect(after?.metadata.labels).toEqual(before?.metadata.labels);
  });

  it("refuses a source that KServe cannot read, with what to change", async () => {
    const { deliver, deployed } = await startListener();
    const key = await registry.register(uniqueModel("dbfs"), "dbfs:/models/x", { deploy: "true" });

    const answer = await deliver(key);

    // 422 is not retried by MLflow: it would not help.
    expect(answer.status).toBe(422);
    expect(answer.body.message).toMatch(/dbfs/);
    expect(await deployed()).toEqual([]);
  });

  it("works once for many deliveries that come together", async () => {
    const { deliver, logged } = await startListener();
    const key = await registry.register(uniqueModel("burst"), "s3://models/burst", { deploy: "true" });

    const answers = await Promise.all(Array.from({ length: 20 }, () => deliver(key)));

    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
    expect(answers.filter(({ body }) => body.action === "created").length).toBeGreaterThan(0);
    expect(logged.filter(({ level }) => level === "error" || level === "warn")).toEqual([]);
  });
});

describe("other deliveries", () => {
  it.each([
    ["another tag", { entity: "model_version_tag", action: "set", data: { name: "m", version: "1", key: "owner" } }],
    ["another event", { entity: "registered_model", action: "created", data: { name: "m", tags: {} } }],
  ])("are ignored: %s", async (_what, event) => {
    const { send, deployed } = await startListener();

    const answer = await send(JSON.stringify({ timestamp: new Date().toISOString(), ...event }));

    expect(answer).toMatchObject({ status: 200, body: { status: "success", action: "ignored" } });
    expect(await deployed()).toEqual([]);
  });

  it("accepts the older form of the event: an integer timestamp, a numeric version, run and experiment in the data", async () => {
    const { send } = await startListener();
    const { model } = await registry.register(uniqueModel("older"), "s3://models/older", { deploy: "true" });
    const data = { name: model, version: 1, key: "deploy", value: "true", run_id: "r", experiment_id: "e" };

    const answer = await send(JSON.stringify({ entity: "model_version_tag", action: "set", timestamp: 1, data }));

    expect(answer).toMatchObject({ status: 200, body: { action: "created" } });
  });
});

describe("bad input leaves no trace in the cluster", () => {
  const event = (model: string): string =>
    JSON.stringify({
      entity: "model_version_tag",
      action: "set",
      timestamp: new Date().toISOString(),
      data: { name: model, version: "1", key: "deploy", value: "true" },
    });
  const seconds = (offset: number): string => String(Math.floor(Date.now() / 1000) + offset);

  it.each([
    ["a body over 1 MiB", 413, /larger than/, { body: "x".repeat(MAXIMUM_BODY_SIZE + 1) }],
    ["invalid JSON, correctly signed", 400, /not JSON/, { body: '{"entity": ' }],
    ["no event, correctly signed", 400, /entity/, { body: "{}" }],
    ["a wrong signature", 401, /different secrets/, { headers: { "x-mlflow-signature": "v1,AAAA" } }],
    ["no signature", 401, /X-MLflow-Signature is missing/, { headers: { "x-mlflow-signature": undefined } }],
    ["no delivery id", 400, /X-MLflow-Delivery-Id is missing/, { headers: { "x-mlflow-delivery-id": undefined } }],
    ["a stale timestamp", 401, /old/, { headers: { "x-mlflow-timestamp": seconds(-400) } }],
    ["a timestamp from the future", 401, /in the future/, { headers: { "x-mlflow-timestamp": seconds(400) } }],
  ] as [string, number, RegExp, { body?: string; headers?: Record<string, string | undefined> }][])(
    "%s: %i",
    async (_what, status, message, { body, headers }) => {
      const { send, deployed } = await startListener();
      const { model } = await registry.register(uniqueModel("bad"), "s3://models/bad", { deploy: "true" });

      const answer = await send(body ?? event(model), headers);

      expect(answer.status).toBe(status);
      expect(answer.body.status).toBe("error");
      expect(answer.body.message).toMatch(message);
      expect(await deployed()).toEqual([]);
    },
  );

  it("a version that is no number is named", async () => {
    const { send } = await startListener();
    const data = { name: "m", version: "../1", key: "deploy", value: "true" };

    const answer = await send(
      JSON.stringify({ entity: "model_version_tag", action: "set", timestamp: "2026-01-01T00:00:00Z", data }),
    );

    expect(answer.status).toBe(400);
    expect(answer.body.message).toMatch(/data\.version: must be a positive whole number/);
  });
});

describe("the other paths", () => {
  it("GET /health tells that both systems are reached", async () => {
    const { url } = await startListener();
    const response = await fetch(`${url}/health`);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      status: "healthy",
      mlflow_connected: true,
      kubernetes_connected: true,
    });
  });

  it("GET /services lists what is deployed", async () => {
    const { url, deliver, namespace } = await startListener();
    const key = await registry.register(uniqueModel("listed"), "s3://models/listed", { deploy: "true" });
    await deliver(key);

    const response = await fetch(`${url}/services`);

    const { services } = (await response.json()) as { services: unknown[] };
    expect(services).toMatchObject([
      { name: `mlflow-${key.model}-v1`, namespace, model_name: key.model, model_version: "1" },
    ]);
  });

  it("anything else is a 404 or 405 in JSON", async () => {
    const { url } = await startListener();
    expect(await (await fetch(`${url}/nothing`)).json()).toMatchObject({ status: "error" });
    expect((await fetch(`${url}/nothing`)).status).toBe(404);
    const wrongMethod = await fetch(`${url}/webhook`);
    expect([wrongMethod.status, wrongMethod.headers.get("allow")]).toEqual([405, "POST"]);
  });
});
