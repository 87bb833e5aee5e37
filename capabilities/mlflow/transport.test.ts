import { describe, expect, it } from "vitest";
import { cutInTheBody, json, neverAnswers, startFaultServer, text } from "../../test/support/unit/fault-server";
import type { FaultyAnswer } from "../../test/support/unit/fault-server";
import { rejectionOf } from "../../test/support/unit/outcomes";
import { fixedAccess } from "./access";
import { MlflowError } from "./errors";
import { createMlflowReader } from "./client";
import { createMlflowTransport } from "./transport";
import type { MlflowTransport } from "./transport";

// Servers of our own: a real MLflow cannot be made to answer like this.

const PATH = "/api/2.0/mlflow/model-versions/get";
const CALL = { method: "GET", path: "model-versions/get", query: { name: "iris", version: "3" } } as const;

function transportTo(trackingUri: string, authorization?: string, deadline = 10_000): MlflowTransport {
  return createMlflowTransport({ trackingUri, access: fixedAccess({ authorization, tls: {} }), deadline });
}

async function failure(answer: FaultyAnswer, deadline?: number): Promise<MlflowError> {
  const server = await startFaultServer(answer);
  const error = await rejectionOf(transportTo(server.url, undefined, deadline)(CALL));
  if (!(error instanceof MlflowError)) throw error;
  return error;
}

describe("a call of MLflow", () => {
  it("goes to the API below the tracking URI's own path, encoded", async () => {
    const server = await startFaultServer(json(200, { fine: true }));
    const query = { name: "a&b=c/ü'", filter: "x" };
    for (const prefix of ["", "/", "/mlflow", "/team/mlflow//"]) {
      expect(await transportTo(server.url + prefix)({ ...CALL, query })).toEqual({ fine: true });
    }
    const encoded = "name=a%26b%3Dc%2F%C3%BC%27&filter=x";
    expect(server.received.map(({ url }) => url)).toEqual(
      ["", "", "/mlflow", "/team/mlflow"].map(prefix => `${prefix}${PATH}?${encoded}`),
    );
  });

  it("goes to the host of the tracking URI, also when its path begins with two slashes", async () => {
    const server = await startFaultServer(json(200, {}));
    await transportTo(`${server.url}//elsewhere.example.com/x`, "Bearer geheim")(CALL);
    expect(server.received.map(({ url }) => url.split("?")[0])).toEqual([`//elsewhere.example.com/x${PATH}`]);
  });

  it("sends a body as JSON, and the authorization", async () => {
    const server = await startFaultServer(json(200, {}));
    await transportTo(server.url, "Bearer geheim")({ method: "POST", path: "webhooks", body: { name: "ü" } });
    expect(server.received).toMatchObject([
      {
        method: "POST",
        headers: { authorization: "Bearer geheim", "content-type": "application/json" },
        body: '{"name":"ü"}',
      },
    ]);
  });

  it.each([
    ["user:p%40ss", undefined, "user:p@ss"],
    ["user:100%", undefined, "user:100%"],
    ["user:pass", "Bearer token", undefined],
  ])("takes credentials from the tracking URI %s unless there are others", async (credentials, other, expected) => {
    const server = await startFaultServer(json(200, {}));
    await transportTo(server.url.replace("//", `//${credentials}@`), other)(CALL);
    const basic = expected === undefined ? other : `Basic ${Buffer.from(expected).toString("base64")}`;
    expect(server.received[0]?.headers.authorization).toBe(basic);
  });

  it("takes a fresh connection each time over plain HTTP", async () => {
    const server = await startFaultServer(json(200, {}));
    const transport = transportTo(server.url);
    await transport(CALL);
    await transport(CALL);
    expect(server.connections()).toBe(2);
  });
});

describe("an answer that cannot be relied on", () => {
  it.each([
    [
      "an HTML page",
      text(200, "text/html", "<html>Hello</html>"),
      /18 bytes \(text\/html, "Hello"\) that are not JSON; check that MLFLOW_KSERVE_MLFLOW_TRACKING_URI/,
    ],
    [
      "truncated JSON",
      text(200, "application/json", '{"model_version": {'),
      /19 bytes \(application\/json, ".*"\) that are not JSON/,
    ],
    ["nothing", text(200, "application/json", ""), /0 bytes \(application\/json\) that are not JSON/],
    ["503 with an HTML page", text(503, "text/html", "<html>"), /was answered 503 without MLflow's error format /],
    ["404 with an HTML page", text(404, "text/html", "<html>"), /was answered 404 without MLflow's error format /],
    ["404 with other JSON", json(404, { detail: "Not Found" }), /was answered 404 without MLflow's error format /],
    ["429 with text", text(429, "text/plain", "slow down"), /was answered 429 by a limit of what stands before MLflow/],
    ["201", json(201, { model_version: {} }), /was answered 201 without MLflow's error format /],
    [
      "500 in MLflow's format",
      json(500, { error_code: "INTERNAL_ERROR", message: "db" }),
      /was answered 500 INTERNAL_ERROR: db$/,
    ],
    // A status that says otherwise than the code is suspicious: not to be taken for "does not exist".
    [
      "202 with an error",
      json(202, { error_code: "RESOURCE_DOES_NOT_EXIST" }),
      /was answered 202 RESOURCE_DOES_NOT_EXIST/,
    ],
    [
      "500 with not found",
      json(500, { error_code: "RESOURCE_DOES_NOT_EXIST" }),
      /was answered 500 RESOURCE_DOES_NOT_EXIST/,
    ],
  ])("is unexpected when it is %s", async (_, answer, message) => {
    const error = await failure(answer);
    expect(error.kind).toBe("unexpected");
    expect(error.message).toMatch(message);
    expect(error.message).toMatch(/^GET \/api\/2\.0\/mlflow\/model-versions\/get was answered /);
  });

  it("is unexpected when it is a redirect, which is named without what a sign-in puts behind it", async () => {
    const error = await failure((_, response) => {
      response.writeHead(302, { location: "https://sso.example.com/login?state=geheim" }).end();
    });
    expect(error.kind).toBe("unexpected");
    expect(error.message).toBe(
      `GET ${PATH} was redirected to https://sso.example.com/login; set MLFLOW_KSERVE_MLFLOW_TRACKING_URI to MLflow's final address, one before which nobody has to sign in`,
    );
  });

  // Other forms of 401 and 403: refusals.test.ts.
  it.each([401, 403])("is unauthorized with %i in MLflow's own format", async status => {
    const error = await failure(json(status, { error_code: "PERMISSION_DENIED", message: "no" }));
    expect(error).toMatchObject({ kind: "unauthorized", code: "PERMISSION_DENIED", facts: { status, reason: "no" } });
    expect(error.message).toContain(`answered ${status} PERMISSION_DENIED: no; `);
  });

  it("shows nothing of a secret in MLflow's own words, nor more of them than fit", async () => {
    const message = `cannot reach postgresql://mlflow:geheim@db/mlflow with Bearer ${"g".repeat(20)}1 \u001b[31m${"x".repeat(5000)}`;
    const server = await startFaultServer(json(401, { error_code: "UNAUTHENTICATED", message }));
    const error = await rejectionOf(transportTo(server.url, `Bearer ${"g".repeat(20)}1`)(CALL));
    expect(error.message).toContain("postgresql://***@db/mlflow");
    expect(error.message).not.toMatch(/geheim|ggggg|\u001b/);
    expect(error.message.length).toBeLessThan(1000);
  });

  it("is refused when MLflow says so in its own format", async () => {
    const error = await failure(
      json(404, { error_code: "RESOURCE_DOES_NOT_EXIST", message: "Model Version not found" }),
    );
    expect([error.kind, error.code]).toEqual(["refused", "RESOURCE_DOES_NOT_EXIST"]);
    expect(error.message).toBe(`GET ${PATH} was answered 404 RESOURCE_DOES_NOT_EXIST: Model Version not found`);
  });

  it.each([
    ["never comes", neverAnswers, 30, /no complete answer within 30 ms/],
    ["is cut in its body", cutInTheBody('{"model_version": {"tags": []'), undefined, /aborted/],
  ])("is none when it %s", async (_, answer, deadline, message) => {
    const error = await failure(answer, deadline);
    expect(error.kind).toBe("unreachable");
    expect(error.facts).toMatchObject({ call: `GET ${PATH}`, timedOut: message.source.startsWith("no complete") });
    expect(error.facts.status).toBeUndefined();
    expect(error.message).toMatch(/^MLflow cannot be reached: GET http:\/\/127\.0\.0\.1:\d+\/api/);
    expect(error.message).toMatch(message);
    expect(error.message).toMatch(/; check that it runs and MLFLOW_KSERVE_MLFLOW_TRACKING_URI$/);
  });

  it("is none when the authorization cannot be sent, and does not show it", async () => {
    const error = await rejectionOf(transportTo("http://127.0.0.1:9", "Bearer geheim\n")(CALL));
    expect(error).toMatchObject({ name: "MlflowError", kind: "unreachable" });
    expect(error.message).toContain('Invalid character in header content ["authorization"]');
    expect(error.message).not.toContain("geheim");
  });

  it.each([
    ["HTML", text(200, "text/html", "<html>")],
    ["404 from a proxy", text(404, "text/html", "<html>")],
    ["a foreign 404", json(404, { error_code: "ENDPOINT_NOT_FOUND" })],
    ["a redirect", (_: unknown, response: Parameters<FaultyAnswer>[1]) => response.writeHead(302).end()],
    ["429", json(429, { error_code: "REQUEST_LIMIT_EXCEEDED" })],
    ["500 with not found", json(500, { error_code: "RESOURCE_DOES_NOT_EXIST" })],
    ["another version", json(200, { model_version: { name: "iris", version: "4" } })],
    ["another model", json(200, { model_version: { name: "Iris", version: "3" } })],
    ["no version", json(200, {})],
    ["null", json(200, null)],
    ["tags of another form", json(200, { model_version: { name: "iris", version: "3", tags: { deploy: "true" } } })],
    ["tags without keys", json(200, { model_version: { name: "iris", version: "3", tags: [{ value: "true" }] } })],
    ["a cut body", cutInTheBody("{")],
  ])("never means that a version does not exist or has no tag: %s", async (_, answer) => {
    const server = await startFaultServer(answer);
    const reader = createMlflowReader(transportTo(server.url));
    expect(await rejectionOf(reader.getModelVersion({ model: "iris", version: "3" }))).toBeInstanceOf(MlflowError);
  });
});
