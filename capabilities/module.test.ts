import { describe, expect, it, onTestFinished, vi } from "vitest";
import { json, startFaultServer, text } from "../test/support/unit/fault-server";
import type { FaultyAnswer } from "../test/support/unit/fault-server";
import { TEMPLATE } from "../test/support/unit/objects";
import { recordingLog } from "../test/support/unit/recording-log";
import type { RecordedLine } from "../test/support/unit/recording-log";
import type { ApiServerRequest } from "./kubernetes/api-server";
import { createListener } from "./module";
import type { Listener } from "./module";
import { parseSettings } from "./configuration/settings";
import type { ModuleAnswer } from "./server/page/wire";
import type { ModuleItem } from "./status/published";

interface Setup {
  readonly listener: Listener;
  readonly lines: readonly RecordedLine[];
  /** Requests to the API server, which has nothing. */
  readonly requests: readonly ApiServerRequest[];
}

async function setUp(mlflow: FaultyAnswer, settings: Readonly<Record<string, string>> = {}): Promise<Setup> {
  const { url } = await startFaultServer(mlflow);
  const { log, lines } = recordingLog();
  const requests: ApiServerRequest[] = [];
  const all = {
    MLFLOW_TRACKING_URI: url,
    MLFLOW_WEBHOOK_SECRET: "geheim, und lang genug",
    APP_HOST: "127.0.0.1",
    APP_PORT: "0",
    ...settings,
  };
  const listener = createListener({
    mlflowAccess: { tls: {} },
    settings: parseSettings(
      Object.fromEntries(Object.entries(all).map(([name, value]) => [`MLFLOW_KSERVE_${name}`, value])),
    ),
    template: TEMPLATE,
    apiServer: request => {
      requests.push(request);
      return Promise.resolve({ status: 200, body: { items: [] } });
    },
    log,
    showsPage: true,
  });
  onTestFinished(() => listener.stop());
  return { listener, lines, requests };
}

/** What the page of a listener, at this port, says of the webhook. */
async function webhookItem(port: number): Promise<ModuleItem | undefined> {
  const response = await fetch(`http://127.0.0.1:${port}/page/module`, { headers: { connection: "close" } });
  return ((await response.json()) as ModuleAnswer).items.find(({ name }) => name === "Webhook");
}

describe("the page of a listener", () => {
  it("has its own mode when it takes deliveries, or when nobody does", async () => {
    const [taking, disabled] = [await setUp(json(200, {})), await setUp(json(200, {}), { DISABLE_WEBHOOKS: "true" })];
    for (const [{ listener }, deliveries] of [
      [taking, true],
      [disabled, false],
    ] as const) {
      const { port } = await listener.serve(deliveries);
      expect(await webhookItem(port)).toMatchObject({
        health: "good",
        value: expect.stringMatching(/^polling: /) as string,
      });
    }
  });

  it("has the mode and cause of the process that takes deliveries", async () => {
    const endpoint = await setUp(text(503, "text/html", "<html>"), {
      MLFLOW_WEBHOOK_URL: "http://module.example.com/webhook",
      WEBHOOK_STARTUP_RETRIES: "0",
    });
    const { port } = await endpoint.listener.serve(true);
    const cause = await vi.waitFor(() => {
      const line = endpoint.lines.find(({ message }) => message.includes("falling back to polling mode"));
      if (line === undefined) throw new Error("it still tries");
      return line.fields.cause;
    });
    const watcher = await setUp(json(200, {}), { WEBHOOK_PODS_URL: `http://127.0.0.1:${port}` });
    const { port: pagePort } = await watcher.listener.serve(false);
    expect(await webhookItem(pagePort)).toEqual({
      name: "Webhook",
      health: "warning",
      value: expect.stringMatching(/^fallback: /) as string,
      advice: cause,
    });
  });

  it("says so when it was not told where these are", async () => {
    const { listener } = await setUp(json(200, {}));
    const { port } = await listener.serve(false);
    expect(await webhookItem(port)).toMatchObject({ health: "warning", value: "not known to this process" });
  });
});

describe("a listener", () => {
  it("polls once for all who ask at the same time", async () => {
    let searches = 0;
    const { listener } = await setUp((request, response) => {
      if (request.url.includes("model-versions/search") && request.url.includes("ILIKE")) searches++;
      json(200, {})(request, response);
    });
    const [one, other] = await Promise.all([listener.poll(), listener.poll()]);
    expect(one).toEqual({ tagged: 0, managed: 0, created: 0, updated: 0, deleted: 0, failed: 0, held: 0, outdated: 0 });
    expect(other).toBe(one);
    expect(searches).toBe(1);
    await listener.poll();
    expect(searches).toBe(2);
  });

  // A real MLflow has no such page; what stands before one may.
  it("changes nothing when a poll fails, says so, and can poll again", async () => {
    const { listener, lines, requests } = await setUp(text(200, "text/html", "<html>"));
    expect(await listener.poll()).toBeUndefined();
    expect(await listener.poll()).toBeUndefined();
    expect(requests).toEqual([]);
    expect(lines).toMatchObject(Array(2).fill({ level: "error", message: "Poll failed, nothing was changed" }));
  });

  it("has no webhook when it works by polling alone", async () => {
    const { listener } = await setUp(json(200, {}), { DISABLE_WEBHOOKS: "true" });
    const { port } = await listener.serve(true);
    const status = async (path: string): Promise<number> =>
      (await fetch(`http://127.0.0.1:${port}${path}`, { method: "POST", headers: { connection: "close" } })).status;
    expect([await status("/webhook"), await status("/health")]).toEqual([404, 405]);
  });

  it("has a port of its own for operations, and says on the other where they are", async () => {
    const { listener } = await setUp(json(200, {}), { OPERATIONS_PORT: "0" });
    const { port, operationsPort } = await listener.serve(true);
    expect(operationsPort).not.toBe(port);
    const ask = async (at: number, path: string): Promise<string> => {
      const response = await fetch(`http://127.0.0.1:${at}${path}`, { headers: { connection: "close" } });
      return `${response.status} ${await response.text()}`;
    };
    expect(await ask(operationsPort, "/metrics")).toMatch(/^200 # HELP /);
    expect(await ask(operationsPort, "/webhook")).toMatch(/^404 /);
    expect(await ask(port, "/metrics")).toBe(
      `404 {"status":"error","message":"there is nothing at this path; try /webhook, /health, /livez, /readyz; the page, /services and /metrics are on the port of MLFLOW_KSERVE_OPERATIONS_PORT, ${operationsPort}"}`,
    );
    for (const at of [port, operationsPort]) expect(await ask(at, "/readyz")).toMatch(/^200 /);
  });

  it("listens on nothing when one of its ports is taken", async () => {
    const first = await setUp(json(200, {}), { OPERATIONS_PORT: "0" });
    const { port, operationsPort } = await first.listener.serve(true);
    for (const [name, taken] of [
      ["APP_PORT", port],
      ["OPERATIONS_PORT", operationsPort],
    ] as const) {
      const { listener } = await setUp(json(200, {}), { OPERATIONS_PORT: "0", [name]: String(taken) });
      await expect(listener.serve(true)).rejects.toThrow(
        `${taken} (EADDRINUSE): another process has it; stop that one or set MLFLOW_KSERVE_${name}`,
      );
    }
  });

  it("counts status tags that MLflow denies as such, and not as failures of MLflow's", async () => {
    const tags = [{ key: "deploy", value: "true" }];
    const version = { name: "iris", version: "latest", source: "s3://b/iris", run_id: "", status: "READY", tags };
    const { listener, lines } = await setUp((request, response) => {
      if (request.url.includes("set-tag")) text(403, "text/plain", "Permission denied")(request, response);
      else if (request.url.includes("/get")) json(200, { model_version: version })(request, response);
      else json(200, { model_versions: [version] })(request, response);
    });
    const { port } = await listener.serve(false);
    expect(await listener.poll()).toMatchObject({ tagged: 1, failed: 1 });
    await listener.idle();
    const metrics = await (
      await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { connection: "close" } })
    ).text();
    expect(metrics).toContain('status_tag_writes_total{result="denied"} 1');
    expect(metrics).not.toMatch(/^mlflow_api_errors_total\{.*\} [1-9]/m);
    expect(lines.filter(({ level }) => level === "error")).toHaveLength(1);
  });

  it("stops while the registration of its webhook waits for another try, and logs no password", async () => {
    const { listener, lines } = await setUp(text(503, "text/html", "<html>"), {
      MLFLOW_WEBHOOK_URL: "https://user:geheim2@module.example.com/webhook",
    });
    await listener.serve(true);
    const failed = { level: "warn", fields: { url: "https://***@module.example.com/webhook" } };
    await vi.waitFor(() => {
      expect(lines.at(-1)).toMatchObject(failed);
    });
    await listener.stop();
    expect(JSON.stringify(lines)).not.toContain("geheim");
  });
});
