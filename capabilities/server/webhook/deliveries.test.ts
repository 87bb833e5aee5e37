import { describe, expect, it } from "vitest";
import { EVENT, ID, OUTCOME, setUpDeliveries } from "../../../test/support/unit/deliveries";
import { deferred, settle } from "../../../test/support/unit/outcomes";
import { KubernetesError } from "../../kubernetes/api-server";
import { MlflowError } from "../../mlflow/errors";
import { ForeignObjectError, RefusedError } from "../../reconciliation/errors";
import type { Outcome } from "../../reconciliation/reconciler";

describe("a delivery about the deploy tag", () => {
  it.each(["set", "deleted"])("reconciles the version (%s), whatever value the event has", async action => {
    const { deliver, reconciled } = setUpDeliveries();
    const answer = await deliver(JSON.stringify({ ...EVENT, action, data: { ...EVENT.data, value: "false" } }));
    expect(reconciled).toEqual([{ model: "iris", version: "3" }]);
    expect(answer).toEqual({
      status: 200,
      body: { status: "success", action: "created", inference_service: "mlflow-iris-v3", namespace: "models" },
    });
  });

  it("is answered only when the work was acknowledged", async () => {
    const work = deferred<Outcome>();
    let answered = false;
    const answer = setUpDeliveries({ reconcile: () => work.promise })
      .deliver()
      .finally(() => (answered = true));
    await settle();
    expect(answered).toBe(false);
    work.resolve(OUTCOME);
    expect((await answer).status).toBe(200);
  });

  it("says why nothing runs, when nothing does", async () => {
    const reason = "the model version has no tag deploy";
    const { deliver } = setUpDeliveries({
      reconcile: () => Promise.resolve({ ...OUTCOME, action: "deleted", reason }),
    });
    expect((await deliver()).body).toMatchObject({ status: "success", action: "deleted", message: reason });
  });

  it("is logged with its id, the time it was received, the version and what was done", async () => {
    const { deliver, lines } = setUpDeliveries();
    const before = Date.now();
    await deliver();
    expect(lines).toMatchObject([
      {
        level: "info",
        message: "Delivery handled",
        fields: {
          delivery_id: ID,
          model: "iris",
          version: "3",
          inference_service: "mlflow-iris-v3",
          action: "created",
          mlflow_ms: 12.5,
          kubernetes_ms: 7.25,
        },
      },
    ]);
    const receivedAt = lines[0]?.fields.received_at;
    expect(receivedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(Date.parse(String(receivedAt))).toBeGreaterThanOrEqual(before);
    expect(Date.parse(String(receivedAt))).toBeLessThanOrEqual(Date.now());
    expect(lines[0]?.fields.duration_ms).toBeGreaterThanOrEqual(0);
  });
});

describe("what is counted", () => {
  it.each<[string, Parameters<typeof setUpDeliveries>[0], Parameters<ReturnType<typeof setUpDeliveries>["deliver"]>]>([
    ["success", {}, []],
    ["ignored", {}, [JSON.stringify({ ...EVENT, data: { ...EVENT.data, key: "stage" } })]],
    ["refused", { reconcile: () => Promise.reject(new RefusedError("dbfs")) }, []],
    ["error", { reconcile: () => Promise.reject(new MlflowError("unreachable", "no answer")) }, []],
    ["error", { request: { closing: true } }, []],
    ["error", { maximumUnderWay: 0 }, []],
    ["rejected", { secrets: () => ["another"] }, []],
    ["rejected", {}, ["{}"]],
  ])("is %s, at the answer", async (result, setup, delivery) => {
    const { deliver, counted } = setUpDeliveries(setup);
    await deliver(...delivery);
    expect(await counted("webhook_deliveries_total")).toEqual([`webhook_deliveries_total{result="${result}"} 1`]);
  });

  // The examples of mlflow/webhooks/types.py.
  it.each([
    ["model_version_tag", "set", { name: "example_model", version: "1", key: "example_key", value: "example_value" }],
    ["model_version_tag", "deleted", { name: "example_model", version: "1", key: "example_key" }],
    ["model_version", "created", { name: "example_model", version: "1", tags: { example_key: "example_value" } }],
    ["model_version_alias", "created", { name: "example_model", alias: "example_alias", version: "1" }],
  ])("is no test delivery of MLflow's: %s %s", async (entity, action, data) => {
    const { deliver, counted } = setUpDeliveries();
    expect((await deliver(JSON.stringify({ ...EVENT, entity, action, data }))).status).toBe(200);
    expect(await counted("webhook_")).toEqual([]);
  });
});

describe("a delivery about an alias", () => {
  const about = (action: string, data: object): string =>
    JSON.stringify({ ...EVENT, entity: "model_version_alias", action, data });

  it("has its model looked at, and is answered with what was done about the version", async () => {
    const { deliver, reconciled } = setUpDeliveries();
    const answer = await deliver(about("created", { name: "iris", alias: "champion", version: "3" }));
    expect(answer).toMatchObject({ status: 200, body: { action: "created", inference_service: "mlflow-iris-v3" } });
    expect(reconciled).toEqual([{ model: "iris", version: "3" }]);
  });

  it("of a model that nothing is served of is answered so", async () => {
    const { deliver, lines } = setUpDeliveries();
    expect(await deliver(about("deleted", { name: "iris", alias: "champion" }))).toEqual({
      status: 200,
      body: {
        ...{ status: "success", action: "ignored", namespace: "models" },
        message: "no version of the model is served, and none is to be",
      },
    });
    expect(lines).toMatchObject([{ level: "info", fields: { model: "iris", action: "ignored" } }]);
  });
});

describe("a delivery that failed", () => {
  // What each failure is answered with is decided, and tried, in failures.ts.
  it.each([
    [new MlflowError("unreachable", "MLflow cannot be reached"), 502],
    [new ForeignObjectError("mlflow-iris-v3", "models"), 409],
    [new RefusedError("KServe cannot read dbfs:/"), 422],
    [new KubernetesError(500, "InternalError", "etcd"), 500],
    [new TypeError("a mistake in the code"), 500],
  ])("by %o is answered %i with the cause", async (error, status) => {
    const { deliver, lines } = setUpDeliveries({ reconcile: () => Promise.reject(error) });
    expect(await deliver()).toEqual({ status, body: { status: "error", message: error.message } });
    expect(lines).toMatchObject([
      { level: "error", message: "Delivery failed", fields: { delivery_id: ID, status, cause: error.message } },
    ]);
  });

  it("is told which object to delete, where that is the cure", async () => {
    const message = `admission webhook "w" denied the request: deploymentMode cannot be changed from 'Standard' to 'Knative'`;
    const error = new KubernetesError(403, "Forbidden", message);
    const { deliver } = setUpDeliveries({ reconcile: () => Promise.reject(error) });
    expect((await deliver()).body.message).toContain(
      "kubectl delete inferenceservice mlflow-iris-v3 --namespace models",
    );
  });
});

describe("a delivery about something else", () => {
  it("is answered 200 and ignored, as MLflow's test call must be", async () => {
    const { deliver, reconciled, lines } = setUpDeliveries();
    const data = { name: "example_model", version: "1", key: "example_key", value: "example_value" };
    expect(await deliver(JSON.stringify({ ...EVENT, data }))).toEqual({
      status: 200,
      body: { status: "success", action: "ignored", namespace: "models", message: "the tag is not deploy" },
    });
    expect(reconciled).toEqual([]);
    expect(lines.map(({ level }) => level)).toEqual(["debug"]);
  });
});

describe("secrets", () => {
  it("are asked for anew with each delivery", async () => {
    let valid: readonly string[] = ["other"];
    const { deliver } = setUpDeliveries({ secrets: () => valid });
    expect((await deliver()).status).toBe(401);
    valid = ["other", "geheim"];
    expect((await deliver()).status).toBe(200);
  });
});

describe("what is counted", () => {
  it("are events with known labels only, and the time of those that were worked on", async () => {
    const { deliver, counted } = setUpDeliveries();
    await deliver();
    await deliver(JSON.stringify({ ...EVENT, action: "deleted" }));
    await deliver(JSON.stringify({ ...EVENT, entity: "made up", action: "x".repeat(1000) }));
    await deliver("{");
    expect(await counted("webhook_events_total")).toEqual([
      'webhook_events_total{entity="model_version_tag",action="set"} 1',
      'webhook_events_total{entity="model_version_tag",action="deleted"} 1',
      'webhook_events_total{entity="other",action="other"} 1',
    ]);
    expect(await counted("webhook_processing_duration_seconds_count")).toEqual([
      "webhook_processing_duration_seconds_count 2",
    ]);
  });
});
