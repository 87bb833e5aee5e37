import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { KubernetesError } from "../../capabilities/kubernetes/api-server";
import packageJson from "../../package.json";
import { ask, openApi, parseRaw } from "../support/asking";
import { startListener, uniqueModel } from "../support/listener-fixture";
import type { RunningListener } from "../support/listener-fixture";
import { openRegistry } from "../support/mlflow-registry";
import { selfSigned } from "../support/unit/certificates";
import { sendRaw } from "../support/unit/raw-http";
import { waitFor } from "../support/waiting";

const registry = openRegistry(inject("mlflowTrackingUri"));

describe("the other paths answer", () => {
  it("all that are described, and nothing else: 404 names them", async () => {
    const { url } = await startListener();
    for (const target of ["/nothing", "/webhook/", "//health", "/%68ealth", "/nothing?x=/health"]) {
      const { status, json } = await ask(url, target);
      expect(status).toBe(404);
      const named = /try (.*)$/.exec(String(json.message))?.[1]?.split(", ") ?? [];
      // What the status page asks for is described, and not named.
      expect(named.sort()).toEqual(openApi.paths.filter(path => !path.startsWith("/page/")).sort());
    }
  });

  it.each([
    ["GET", "/webhook", "POST"],
    ["OPTIONS", "/webhook", "POST"],
    ["POST", "/health", "GET, HEAD"],
    ["DELETE", "/services", "GET, HEAD"],
    ["PATCH", "/metrics", "GET, HEAD"],
  ])("%s %s: 405", async (method, target, allow) => {
    const { url } = await startListener();
    const answer = await ask(url, target, method);
    expect([answer.status, answer.headers.allow]).toEqual([405, allow]);
  });

  it.each([
    ["what is no HTTP", "nonsense\r\n\r\n", 400],
    ["headers that are too large", `GET / HTTP/1.1\r\nHost: x\r\nX: ${"x".repeat(20_000)}\r\n\r\n`, 431],
    ["a missing Host", "GET /health HTTP/1.1\r\nConnection: close\r\n\r\n", 400],
    ["an unknown expectation", "GET /health HTTP/1.1\r\nHost: x\r\nExpect: x\r\n\r\n", 417],
  ])("%s", async (_, text, status) => {
    const { url } = await startListener();
    const answer = parseRaw(await sendRaw(Number(new URL(url).port), text));
    expect(answer.status).toBe(status);
    expect(openApi.problemsOfError(answer)).toEqual([]);
  });

  it("GET /health with what it knows", async () => {
    const { url } = await startListener();
    const { status, json } = await ask(url, "/health?verbose");
    expect(status).toBe(200);
    expect(json).toMatchObject({ status: "healthy", mlflow_connected: true, kubernetes_connected: true });
    expect(json.version).toBe(packageJson.version);
    expect(json.last_successful_poll).toBeNull();
  });

  it("GET /health with the time of the last successful poll", async () => {
    const { url, listener } = await startListener({ settings: { DEPLOY_TAG_KEY: uniqueModel("deploy") } });
    const before = Date.now();
    await listener.poll();
    const polledAt = Date.parse(String((await ask(url, "/health")).json.last_successful_poll));
    expect(polledAt).toBeGreaterThanOrEqual(before);
    expect(polledAt).toBeLessThanOrEqual(Date.now());
  });

  it("GET /health with polling as its mode when there are no webhooks", async () => {
    const { url } = await startListener({ settings: { DISABLE_WEBHOOKS: "true" } });
    expect((await ask(url, "/health")).json.mode).toBe("polling");
  });

  it("503 for health, but not for the probes, when MLflow is dead", async () => {
    const { url } = await startListener({ mlflowTrackingUri: "http://127.0.0.1:1" });
    const health = await ask(url, "/health");
    expect([health.status, health.json.mlflow_connected, health.json.kubernetes_connected]).toEqual([503, false, true]);
    expect((await ask(url, "/livez")).json).toEqual({ status: "alive" });
    expect((await ask(url, "/readyz")).json).toEqual({ status: "ready" });
  });

  it("503 for health and 500 for services when Kubernetes does not answer", async () => {
    const refused = new KubernetesError(0, "NoAnswer", "The Kubernetes API server cannot be reached");
    const { url } = await startListener({ wrapApiServer: () => () => Promise.reject(refused) });
    expect((await ask(url, "/health")).json).toMatchObject({ status: "unhealthy", kubernetes_connected: false });
    const services = await ask(url, "/services");
    expect([services.status, services.json.message]).toEqual([500, refused.message]);
  });
});

describe("GET /services answers", () => {
  interface Listed {
    readonly name: string;
    readonly status: string;
    readonly url?: string;
  }
  const list = async (running: RunningListener, query = ""): Promise<{ services: Listed[]; continue?: string }> =>
    (await ask(running.url, `/services${query}`)).json as unknown as { services: Listed[]; continue?: string };

  it("with state and URL, from its creation until it is Ready", async () => {
    const running = await startListener();
    const key = await registry.register(uniqueModel("listed"), "s3://models/listed", { deploy: "true" });
    await running.deliver(key);
    const ready = await waitFor("Ready", async () => {
      const [service] = (await list(running)).services;
      expect(service).toMatchObject({ name: `mlflow-${key.model}-v1`, namespace: running.namespace });
      return service?.status === "Ready" ? service : undefined;
    });
    expect(ready).toMatchObject({ model_name: key.model, model_version: "1" });
    expect(ready.url).toMatch(/^http/);
  });

  it("in pages, each service once", async () => {
    const running = await startListener();
    const keys = await Promise.all(
      Array.from({ length: 5 }, () => registry.register(uniqueModel("page"), "s3://models/page", { deploy: "true" })),
    );
    await Promise.all(keys.map(key => running.deliver(key)));
    const sizes: number[] = [];
    const names: string[] = [];
    let query: string | undefined = "?limit=2";
    while (query !== undefined) {
      const page = await list(running, query);
      sizes.push(page.services.length);
      names.push(...page.services.map(({ name }) => name));
      query = page.continue === undefined ? undefined : `?limit=2&continue=${encodeURIComponent(page.continue)}`;
    }
    expect(sizes).toEqual([2, 2, 1]);
    expect(names).toEqual(keys.map(({ model }) => `mlflow-${model}-v1`).sort());
  });

  it.each(["limit=0", "limit=501", "limit=ten", "continue=", "continue=made-up", "page=1"])(
    "400 for ?%s",
    async query => {
      const { url } = await startListener();
      expect((await ask(url, `/services?${query}`)).status).toBe(400);
    },
  );
});

describe("HTTPS", () => {
  it("is served when certificate and key are given", async () => {
    const { cert, key } = selfSigned("listener");
    const directory = mkdtempSync(path.join(tmpdir(), "mlflow-kserve-tls-"));
    onTestFinished(() => {
      rmSync(directory, { recursive: true });
    });
    const [certFile, keyFile] = [path.join(directory, "tls.crt"), path.join(directory, "tls.key")];
    writeFileSync(certFile, cert);
    writeFileSync(keyFile, key);
    const { url } = await startListener({ settings: { TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile } });
    const answer = await ask(url.replace("http:", "https:"), "/health", "GET", {}, undefined, cert);
    expect(answer.status).toBe(200);
  });
});
