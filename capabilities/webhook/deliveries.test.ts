import { describe, expect, it } from "vitest";
import { deferred, settle } from "../../test/support/unit/outcomes";
import { recordingLog } from "../../test/support/unit/recording-log";
import type { RecordedLine } from "../../test/support/unit/recording-log";
import { KubernetesError } from "../kserve/api-server";
import { MlflowError } from "../mlflow/errors";
import type { ModelVersionKey } from "../model-version-key";
import { createMetrics } from "../operations/metrics";
import { ForeignObjectError, RefusedError } from "../reconciliation/errors";
import type { Outcome } from "../reconciliation/reconciler";
import { createDeliveryHandler } from "./deliveries";
import { errorAnswer } from "./answers";
import type { JsonAnswer } from "./answers";
import type { HttpRequest } from "./http-server";
import { BodyError } from "./request-body";
import { sign } from "./signature";

const EVENT = {
  entity: "model_version_tag",
  action: "set",
  timestamp: "2026-01-02T03:04:05Z",
  data: { name: "iris", version: "3", key: "deploy", value: "true" },
};
const BODY = JSON.stringify(EVENT);
const ID = "7d8f3c1e-0000-4000-8000-000000000001";
const JSON_TYPE = { "content-type": "application/json" };
const OUTCOME: Outcome = {
  action: "created",
  inferenceService: "mlflow-iris-v3",
  namespace: "models",
  mlflowMilliseconds: 12.5,
  kubernetesMilliseconds: 7.25,
};

interface Setup {
  readonly reconcile?: (key: ModelVersionKey) => Promise<Outcome>;
  readonly secrets?: () => readonly string[];
  readonly maximumUnderWay?: number;
  /** Changes the request itself. */
  readonly request?: Partial<HttpRequest>;
}

function setUp(setup: Setup = {}): {
  readonly lines: readonly RecordedLine[];
  readonly reconciled: readonly ModelVersionKey[];
  /** The lines of the metrics that begin so and are not 0. */
  readonly counted: (name: string) => Promise<string[]>;
  readonly deliver: (body?: string, headers?: Readonly<Record<string, string | undefined>>) => Promise<JsonAnswer>;
} {
  const { reconcile = () => Promise.resolve(OUTCOME), secrets = () => ["geheim"], maximumUnderWay } = setup;
  const { log, lines } = recordingLog();
  const metrics = createMetrics();
  const reconciled: ModelVersionKey[] = [];
  const handler = createDeliveryHandler({
    secrets,
    deployTagKey: "deploy",
    namespace: "models",
    reconcile: key => {
      reconciled.push(key);
      return reconcile(key);
    },
    log,
    maximumUnderWay,
    metrics,
  });
  const counted = async (name: string): Promise<string[]> =>
    (await metrics.render()).split("\n").filter(line => line.startsWith(name) && !line.endsWith(" 0"));
  const deliver = (body = BODY, headers: Readonly<Record<string, string | undefined>> = {}): Promise<JsonAnswer> => {
    const bytes = Buffer.from(body);
    const timestamp = headers["x-mlflow-timestamp"] ?? String(Math.floor(Date.now() / 1000));
    const signature = sign("geheim", ID, timestamp, bytes);
    const correct = {
      ...JSON_TYPE,
      "x-mlflow-delivery-id": ID,
      "x-mlflow-timestamp": timestamp,
      "x-mlflow-signature": signature,
    };
    const all: Readonly<Record<string, string | undefined>> = { ...correct, ...headers };
    return handler({
      id: ID,
      header: name => all[name],
      query: new URLSearchParams(),
      body: () => Promise.resolve(bytes),
      closing: false,
      ...setup.request,
    });
  };
  return { lines, reconciled, counted, deliver };
}

describe("a delivery about the deploy tag", () => {
  it.each(["set", "deleted"])("reconciles the version (%s), whatever value the event has", async action => {
    const { deliver, reconciled } = setUp();
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
    const answer = setUp({ reconcile: () => work.promise })
      .deliver()
      .finally(() => (answered = true));
    await settle();
    expect(answered).toBe(false);
    work.resolve(OUTCOME);
    expect((await answer).status).toBe(200);
  });

  it("says why nothing runs, when nothing does", async () => {
    const reason = "the model version has no tag deploy";
    const { deliver } = setUp({ reconcile: () => Promise.resolve({ ...OUTCOME, action: "deleted", reason }) });
    expect((await deliver()).body).toMatchObject({ status: "success", action: "deleted", message: reason });
  });

  it("is logged with its id, the time it was received, the version and what was done", async () => {
    const { deliver, lines } = setUp();
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

describe("a delivery that failed", () => {
  it.each([
    [new MlflowError("unreachable", "MLflow cannot be reached"), 502],
    [new MlflowError("unexpected", "an HTML page"), 502],
    [new MlflowError("unauthorized", "401"), 502],
    [new MlflowError("refused", "the server is starting", "TEMPORARILY_UNAVAILABLE"), 502],
    // MLflow can have no model of that name: another try cannot heal it.
    [new MlflowError("refused", "Invalid model name 'a/b'", "INVALID_PARAMETER_VALUE"), 422],
    [new ForeignObjectError("mlflow-iris-v3", "models"), 409],
    [new RefusedError("KServe cannot read dbfs:/"), 422],
    [new KubernetesError(422, "Invalid", "spec.predictor: Invalid value"), 422],
    [new KubernetesError(400, "BadRequest", "strict decoding error: unknown field"), 422],
    [
      new KubernetesError(
        500,
        "",
        "failed to create typed patch object (m/x; …): .spec.a: field not declared in schema",
      ),
      422,
    ],
    // KServe's own webhooks answer so (controller-runtime's Denied): another try cannot heal it.
    [new KubernetesError(403, "Forbidden", 'admission webhook "isvc.kserve" denied the request: no name'), 422],
    // Rights can be given back: MLflow shall try again.
    [new KubernetesError(403, "Forbidden", 'User "x" cannot patch resource "inferenceservices"'), 500],
    [new KubernetesError(0, "NoAnswer", "The Kubernetes API server cannot be reached"), 500],
    [new KubernetesError(409, "Conflict", "the object has been modified"), 500],
    [new KubernetesError(404, "NotFound", 'namespaces "models" not found'), 500],
    [new KubernetesError(500, "InternalError", "etcd"), 500],
    [new TypeError("a mistake in the code"), 500],
  ])("by %o is answered %i with the cause", async (error, status) => {
    const { deliver, lines } = setUp({ reconcile: () => Promise.reject(error) });
    expect(await deliver()).toEqual({ status, body: { status: "error", message: error.message } });
    expect(lines).toMatchObject([
      { level: "error", message: "Delivery failed", fields: { delivery_id: ID, status, cause: error.message } },
    ]);
  });
});

describe("a delivery that is refused", () => {
  const stale = String(Math.floor(Date.now() / 1000) - 1000);

  it.each([
    ["no signature", { "x-mlflow-signature": undefined }, 401, "the header X-MLflow-Signature is missing: give MLflow"],
    ["an empty signature", { "x-mlflow-signature": "" }, 401, "the signature does not match: "],
    ["a wrong signature", { "x-mlflow-signature": "v1,AAAA" }, 401, "the signature does not match: "],
    ["no delivery id", { "x-mlflow-delivery-id": undefined }, 400, "the header X-MLflow-Delivery-Id is missing"],
    ["an empty delivery id", { "x-mlflow-delivery-id": "" }, 400, "the header X-MLflow-Delivery-Id is missing"],
    ["another delivery id", { "x-mlflow-delivery-id": "x" }, 401, "the signature does not match: "],
    ["an empty timestamp", { "x-mlflow-timestamp": "" }, 400, "the header X-MLflow-Timestamp is missing"],
    ["a stale timestamp", { "x-mlflow-timestamp": stale }, 401, " s old, more than 300 s: a replayed delivery"],
    [
      "a timestamp of another form",
      { "x-mlflow-timestamp": "2026-01-02" },
      401,
      "the timestamp is not in Unix seconds",
    ],
  ])("for %s reconciles nothing", async (_, headers, status, message) => {
    const { deliver, reconciled, lines } = setUp();
    const answer = await deliver(BODY, headers);
    expect(answer.status).toBe(status);
    expect(answer.body).toEqual({ status: "error", message: expect.stringContaining(message) as string });
    expect(reconciled).toEqual([]);
    expect(lines).toMatchObject([{ level: "warn", message: "Delivery refused", fields: { status } }]);
  });

  it("is checked before its body is read: who has not the secret learns nothing of it", async () => {
    const { deliver } = setUp();
    expect((await deliver("{", { "x-mlflow-signature": "v1,AAAA" })).status).toBe(401);
  });

  it.each([
    ["{", "the body is not JSON in UTF-8"],
    ["[]", "the body: "],
    [JSON.stringify({ ...EVENT, data: { ...EVENT.data, version: "latest" } }), "data.version: must be a positive"],
  ])("for its body %s is answered 400", async (body, message) => {
    const { deliver, reconciled } = setUp();
    const answer = await deliver(body);
    expect(answer.status).toBe(400);
    expect(answer.body.message).toContain(message);
    expect(reconciled).toEqual([]);
  });

  it.each([
    [{ "content-type": undefined }, "the header Content-Type must be application/json"],
    [{ "content-type": "text/plain" }, "the header Content-Type must be application/json"],
    [{ "content-type": "application/json; charset=latin1" }, "the header Content-Type must be application/json"],
    [{ "content-encoding": "gzip" }, "the header Content-Encoding is not supported: send the JSON as it is"],
    [{ "content-encoding": "" }, "the header Content-Encoding is not supported: send the JSON as it is"],
  ])("for the headers %o is answered 415", async (headers, message) => {
    const { deliver, reconciled, counted } = setUp();
    expect(await deliver(BODY, headers)).toEqual({ status: 415, body: { status: "error", message } });
    expect(reconciled).toEqual([]);
    expect(await counted("webhook_deliveries_rejected_total")).toEqual([
      'webhook_deliveries_rejected_total{reason="unsupported_media_type"} 1',
    ]);
  });

  it.each(["application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"'])("is not for %s", async type => {
    expect((await setUp().deliver(BODY, { "content-type": type })).status).toBe(200);
  });

  it("for its size gets the server's answer, and is counted", async () => {
    const tooLarge = (): Promise<Buffer> => Promise.reject(new BodyError(errorAnswer(413, "too large")));
    const { deliver, counted, lines } = setUp({ request: { body: tooLarge } });
    expect(await deliver()).toEqual(errorAnswer(413, "too large"));
    expect(lines).toMatchObject([{ message: "Delivery refused", fields: { status: 413, cause: "too large" } }]);
    expect(await counted("webhook_deliveries_rejected_total")).toEqual([
      'webhook_deliveries_rejected_total{reason="too_large"} 1',
    ]);
  });

  it("because the server is being closed is answered 503: MLflow tries again", async () => {
    const { deliver, reconciled } = setUp({ request: { closing: true } });
    expect(await deliver()).toEqual({
      status: 503,
      body: { status: "error", message: "the module is shutting down" },
      headers: { "retry-after": "5" },
    });
    expect(reconciled).toEqual([]);
  });

  it("because too many are under way is answered 429, and only as long as they are", async () => {
    const work = deferred<Outcome>();
    const { deliver, counted } = setUp({ maximumUnderWay: 2, reconcile: () => work.promise });
    const first = [deliver(), deliver()];
    expect(await deliver()).toEqual({
      status: 429,
      body: { status: "error", message: "2 deliveries are under way already; try again" },
      headers: { "retry-after": "1" },
    });
    // Neither these nor those without the secret take anybody's place, nor are they turned away for the crowd.
    expect((await deliver(JSON.stringify({ ...EVENT, entity: "prompt" }))).status).toBe(200);
    expect((await deliver(BODY, { "x-mlflow-signature": "v1,AAAA" })).status).toBe(401);
    work.resolve(OUTCOME);
    await Promise.all(first);
    expect((await deliver()).status).toBe(200);
    expect(await counted("webhook_deliveries_rejected_total")).toEqual([
      'webhook_deliveries_rejected_total{reason="unauthenticated"} 1',
      'webhook_deliveries_rejected_total{reason="overloaded"} 1',
    ]);
  });

  it("is logged with the id that the answer has, when it has none of its own", async () => {
    const { deliver, lines } = setUp({ request: { id: "ours" } });
    await deliver(BODY, { "x-mlflow-delivery-id": "not a plain token" });
    expect(lines[0]?.fields).toMatchObject({ request_id: "ours" });
    expect(lines[0]?.fields).not.toHaveProperty("delivery_id");
  });

  it("tells no secret, in the answer or in the log", async () => {
    const { deliver, lines } = setUp();
    const right = sign("geheim", ID, stale, Buffer.from(BODY)).slice(3);
    const answers = [
      await deliver(BODY, { "x-mlflow-signature": "v1,x" }),
      await deliver(BODY, { "x-mlflow-timestamp": stale }),
    ];
    expect(JSON.stringify([answers, lines])).not.toContain("geheim");
    expect(JSON.stringify([answers, lines])).not.toContain(right);
  });
});

describe("a delivery about something else", () => {
  it("is answered 200 and ignored, as MLflow's test call must be", async () => {
    const { deliver, reconciled, lines } = setUp();
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
    const { deliver } = setUp({ secrets: () => valid });
    expect((await deliver()).status).toBe(401);
    valid = ["other", "geheim"];
    expect((await deliver()).status).toBe(200);
  });
});

describe("what is counted", () => {
  it("are events with known labels only, and the time of those that were worked on", async () => {
    const { deliver, counted } = setUp();
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
