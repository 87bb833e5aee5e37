import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { createMlflowTransport } from "../../capabilities/mlflow/transport";
import { MAXIMUM_BODY_SIZE } from "../../capabilities/server/request-body";
import { ask, eventOf, openApi, parseRaw, signed } from "../support/asking";
import type { Headers } from "../support/asking";
import { SECRET, startListener, uniqueModel } from "../support/listener-fixture";
import { openRegistry } from "../support/mlflow-registry";
import { deferred } from "../support/unit/outcomes";
import { waitFor } from "../support/waiting";
import { testKubectl } from "../testbed/namespaces";

const registry = openRegistry(inject("mlflowTrackingUri"));

interface Case {
  readonly body?: (model: string) => string;
  readonly headers?: Headers;
  readonly source?: string;
  /** What there is before the delivery, or how the listener is set up. */
  readonly before?: (model: string) => Promise<Partial<Parameters<typeof startListener>[0]>>;
}

const seconds = (offset: number): string => String(Math.floor(Date.now() / 1000) + offset);

/** A template whose predictor begins with these lines. */
const templateWith = (...lines: string[]): string => `apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: "{{name}}"
  namespace: "{{namespace}}"
spec:
  predictor:
${lines.map(line => `    ${line}\n`).join("")}    model:
      modelFormat: { name: mlflow }
      storageUri: "{{storage_uri}}"
`;

const CASES: readonly [what: string, status: number, says: RegExp, request: Case][] = [
  ["the deploy tag", 200, /"action":"created"/, {}],
  ["a charset", 200, /"action":"created"/, { headers: { "content-type": "application/json; charset=UTF-8" } }],
  [
    "another tag",
    200,
    /"action":"ignored"/,
    { body: model => eventOf(model, { data: { name: model, key: "owner" } }) },
  ],
  [
    "another event",
    200,
    /"action":"ignored"/,
    { body: model => eventOf(model, { entity: "prompt", action: "created" }) },
  ],
  ["a version that is not there", 200, /"action":"unchanged"/, { body: () => eventOf(uniqueModel("nowhere")) }],
  ["no JSON", 400, /not JSON/, { body: () => "{" }],
  ["no event", 400, /entity: .*; action: .*; timestamp: .*; data: /, { body: () => "{}" }],
  [
    "no version number",
    400,
    /data\.version: must be/,
    { body: model => eventOf(model, { data: { name: model, version: "x", key: "deploy" } }) },
  ],
  ["no delivery id", 400, /X-MLflow-Delivery-Id is missing/, { headers: { "x-mlflow-delivery-id": undefined } }],
  ["no timestamp", 400, /X-MLflow-Timestamp is missing/, { headers: { "x-mlflow-timestamp": undefined } }],
  ["no signature", 401, /X-MLflow-Signature is missing/, { headers: { "x-mlflow-signature": undefined } }],
  ["a wrong signature", 401, /different secrets/, { headers: { "x-mlflow-signature": "v1,AAAA" } }],
  ["a stale timestamp", 401, /old/, { headers: { "x-mlflow-timestamp": seconds(-400) } }],
  ["a timestamp from the future", 401, /in the future/, { headers: { "x-mlflow-timestamp": seconds(400) } }],
  ["a body over 1 MiB", 413, /larger than 1048576 bytes/, { body: () => "x".repeat(MAXIMUM_BODY_SIZE + 1) }],
  ["a form", 415, /Content-Type must be/, { headers: { "content-type": "application/x-www-form-urlencoded" } }],
  ["no content type", 415, /Content-Type must be/, { headers: { "content-type": undefined } }],
  ["a compressed body", 415, /Content-Encoding is not supported/, { headers: { "content-encoding": "gzip" } }],
  ["a source that KServe cannot read", 422, /dbfs/, { source: "dbfs:/models/x" }],
  [
    "an object that KServe's admission rejects",
    422,
    /denied the request/,
    {
      before: () =>
        Promise.resolve({ settings: { INFERENCE_SERVICE_TEMPLATE: templateWith("minReplicas: 3", "maxReplicas: 1") } }),
    },
  ],
  [
    "a template that does not fit KServe's types",
    422,
    /minReplicas/,
    { before: () => Promise.resolve({ settings: { INFERENCE_SERVICE_TEMPLATE: templateWith("minReplicas: many") } }) },
  ],
  [
    "a namespace that is not there",
    500,
    /does not exist: make it/,
    { before: () => Promise.resolve({ namespace: "never-created" }) },
  ],
  [
    "an MLflow that is not there",
    502,
    /MLflow cannot be reached/,
    { before: () => Promise.resolve({ mlflowTrackingUri: "http://127.0.0.1:1" }) },
  ],
];

describe("POST /webhook answers", () => {
  it.each(CASES)("%s: %i", async (_, status, says, { body = eventOf, headers, source = "s3://models/any", before }) => {
    const { model } = await registry.register(uniqueModel("api"), source, { deploy: "true" });
    const running = await startListener({ ...(await before?.(model)) });
    const text = body(model);
    const delivery = signed(text, headers);

    const answer = await ask(running.url, "/webhook", "POST", delivery, text);

    expect(answer.status, answer.text).toBe(status);
    expect(answer.text).toMatch(says);
    const id = answer.headers["x-request-id"];
    if (delivery["x-mlflow-delivery-id"] !== undefined) expect(id).toBe(delivery["x-mlflow-delivery-id"]);
    // The same id finds the line in the log.
    const lines = running.logged.filter(({ fields }) => fields.delivery_id === id || fields.request_id === id);
    const messages = lines.map(({ message }) => message).filter(message => !message.startsWith("InferenceService "));
    expect(messages).toEqual([expect.stringMatching(/^Delivery (handled|ignored|refused|failed)$/)]);
    expect(JSON.stringify(running.logged) + answer.text).not.toContain(SECRET);
  });

  it("a name that somebody else has: 409", async () => {
    const { url, namespace } = await startListener();
    const { model } = await registry.register(uniqueModel("foreign"), "s3://models/any", { deploy: "true" });
    const spec = { predictor: { model: { modelFormat: { name: "sklearn" }, storageUri: "s3://somebody/else" } } };
    const metadata = { name: `mlflow-${model}-v1`, namespace };
    const foreign = { apiVersion: "serving.kserve.io/v1beta1", kind: "InferenceService", metadata, spec };
    await testKubectl()(["create", "-f", "-"], JSON.stringify(foreign));
    const body = eventOf(model);
    const answer = await ask(url, "/webhook", "POST", signed(body), body);
    expect(answer.status).toBe(409);
    expect(answer.json.message).toMatch(/was not made by this module/);
  });

  it("one too many: 429, and the others when their turn comes", async () => {
    const gate = deferred<undefined>();
    const { url } = await startListener({
      wrapApiServer: apiServer => async request => {
        await gate.promise;
        return await apiServer(request);
      },
    });
    const { model } = await registry.register(uniqueModel("crowd"), "s3://models/any", { deploy: "true" });
    const answered: number[] = [];
    const body = eventOf(model);
    const crowd = Array.from({ length: 501 }, async () => {
      const answer = await ask(url, "/webhook", "POST", signed(body), body);
      answered.push(answer.status);
      return answer;
    });
    const all = Promise.all(crowd);
    // Released in any case, or a failure would be hidden behind the wait for the end of the work.
    const first = await Promise.race([waitFor("the answer that comes first", () => answered[0]), all]).finally(() => {
      gate.resolve(undefined);
    });
    const answers = await all;
    expect(first).toBe(429);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(500);
    expect(answers.find(({ status }) => status === 429)?.headers["retry-after"]).toBe("1");
  });

  it("one that arrives while the module shuts down: 503, after the ones under way", async () => {
    const gate = deferred<undefined>();
    let requests = 0;
    const { url, listener, logged } = await startListener({
      wrapApiServer: apiServer => async request => {
        requests++;
        await gate.promise;
        return await apiServer(request);
      },
    });
    const { model } = await registry.register(uniqueModel("closing"), "s3://models/any", { deploy: "true" });
    const body = eventOf(model);
    const underWay = ask(url, "/webhook", "POST", signed(body), body);
    const late = connect({ host: "127.0.0.1", port: Number(new URL(url).port) });
    let received = "";
    late.on("data", (chunk: Buffer) => (received += chunk.toString("utf8")));
    const ended = once(late, "close");
    const lines = Object.entries(signed(body)).map(([name, value]) => `${name}: ${value ?? ""}\r\n`);
    // Its last line comes when the module is shutting down already.
    late.write(`POST /webhook HTTP/1.1\r\nhost: x\r\ncontent-length: ${Buffer.byteLength(body)}\r\n${lines.join("")}`);
    // What is answered on a later connection: the server has taken both earlier ones.
    await ask(url, "/livez");
    await waitFor("the first delivery", () => (requests > 0 ? true : undefined));
    const stopped = listener.stop();
    late.write(`\r\n${body}`);
    await ended;
    const answer = parseRaw(received);
    expect([answer.status, answer.headers["retry-after"], answer.headers.connection]).toEqual([503, "5", "close"]);
    expect(openApi.problemsOf("/webhook", "POST", answer)).toEqual([]);
    gate.resolve(undefined);
    expect((await underWay).status).toBe(200);
    await stopped;
    expect(logged.filter(({ level }) => level === "error")).toEqual([]);
  });

  it("MLflow's own test call with success", async () => {
    const { url } = await startListener();
    const transport = createMlflowTransport({
      trackingUri: inject("mlflowTrackingUri"),
      deadline: 30_000,
    });
    const events = [{ entity: "MODEL_VERSION_TAG", action: "SET" }];
    const settings = { name: uniqueModel("hook"), url: `${url}/webhook`, secret: SECRET, events, status: "ACTIVE" };
    const created = (await transport({ method: "POST", path: "webhooks", body: settings })) as {
      webhook: { webhook_id: string };
    };
    const hook = `webhooks/${created.webhook.webhook_id}`;
    onTestFinished(async () => {
      await transport({ method: "DELETE", path: hook });
    });
    const { result } = (await transport({ method: "POST", path: `${hook}/test`, body: {} })) as {
      result: { success: boolean; response_status: number; response_body: string };
    };
    expect([result.success, result.response_status]).toEqual([true, 200]);
    expect(JSON.parse(result.response_body)).toMatchObject({ status: "success", action: "ignored" });
  });
});
