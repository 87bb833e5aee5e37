import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { recordingLog } from "../../test/support/unit/recording-log";
import type { RecordedLine } from "../../test/support/unit/recording-log";
import { MlflowError } from "./errors";
import type { MlflowCall, MlflowTransport } from "./transport";
import { createWebhookKeeper } from "./webhook-keeper";
import type { WebhookKeeper, WebhookKeeperOptions } from "./webhook-keeper";
import type { WebhookState } from "./webhook-state";

const URL = "https://user:pass@module/webhook?key=value";
const FALLBACK = ["Webhook registration failed - falling back to polling mode", "Polling service started as fallback"];

const keepers: WebhookKeeper[] = [];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance", "Date"] });
});

afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(keepers.splice(0).map(keeper => keeper.stop()));
});

/** An MLflow that holds one webhook and delivers, until a test replaces its answer. */
function fakeMlflow(): {
  readonly transport: MlflowTransport;
  readonly calls: MlflowCall[];
  answer: ((call: MlflowCall) => Promise<unknown>) | undefined;
} {
  const calls: MlflowCall[] = [];
  let held: Record<string, unknown> | undefined;
  const mlflow = {
    calls,
    answer: undefined as ((call: MlflowCall) => Promise<unknown>) | undefined,
    transport: ((call: MlflowCall): Promise<unknown> => {
      calls.push(call);
      if (mlflow.answer) return mlflow.answer(call);
      if (call.method === "GET") return Promise.resolve({ webhooks: held ? [held] : [] });
      if (call.path.endsWith("/test")) {
        return Promise.resolve({
          result: { success: true, response_status: 200, response_body: '{"status":"success"}' },
        });
      }
      if (call.method !== "DELETE") held = { webhook_id: "1", ...(call.body as object) };
      return Promise.resolve({ webhook: held });
    }) satisfies MlflowTransport,
  };
  return mlflow;
}

function start(options: Pick<WebhookKeeperOptions, "transport"> & Partial<WebhookKeeperOptions>): {
  readonly keeper: WebhookKeeper;
  readonly lines: readonly RecordedLine[];
  readonly told: readonly WebhookState[];
  readonly logged: () => string[];
} {
  const { log, lines } = recordingLog();
  const told: WebhookState[] = [];
  const keeper = createWebhookKeeper({
    name: "mlflow-kserve",
    url: URL,
    secret: () => "geheim",
    installation: "here",
    cacheLifetime: 0,
    startupTimeout: 30,
    startupRetries: 2,
    log,
    onState: state => told.push(state),
    ...options,
  });
  keepers.push(keeper);
  return {
    keeper,
    lines,
    told,
    logged: () => lines.filter(({ level }) => level !== "debug").map(({ message }) => message),
  };
}

async function seconds(count: number): Promise<void> {
  // The keeper's own sleep is node:timers/promises, which is not faked: it is real, and short enough for a test.
  await vi.advanceTimersByTimeAsync(count * 1000);
}

describe("the keeper", () => {
  it.each([0, 2])("announces the fallback when the first attempt and %i further ones failed", async startupRetries => {
    let attempts = 0;
    const transport: MlflowTransport = () => {
      attempts++;
      return Promise.reject(new MlflowError("unreachable", "down"));
    };
    const attemptsWhenTold: number[] = [];
    const { keeper, logged } = start({
      ...{ transport, startupRetries, checkInterval: 0.02 },
      onState: ({ mode }) => {
        if (mode === "fallback") attemptsWhenTold.push(attempts);
      },
    });
    await vi.waitFor(() => {
      expect(keeper.state()).toEqual({ mode: "fallback", cause: "down" });
    });
    await vi.waitFor(() => {
      expect(attempts).toBeGreaterThan(startupRetries + 2);
    });
    expect(attemptsWhenTold).toEqual([startupRetries + 1]);
    expect(logged()).toEqual(["Webhook is not proven, trying again", ...FALLBACK]);
  });

  it("gives an attempt at the start its time and no more, and every later one the time that MLflow needs", async () => {
    const mlflow = fakeMlflow();
    mlflow.answer = () => new Promise(() => undefined);
    const { keeper } = start({
      ...{ transport: mlflow.transport, startupTimeout: 0.03, startupRetries: 1, checkInterval: 0.02 },
    });
    await vi.waitFor(() => {
      expect(keeper.state().mode).toBe("fallback");
    });
    expect(keeper.state().cause).toContain("MLflow did not end the attempt within 0.03 s: check that it runs");
    expect(mlflow.calls).toHaveLength(2);
    // The third, in the background, may take as long as its calls: it is still under way.
    await vi.waitFor(() => {
      expect(mlflow.calls).toHaveLength(3);
    });
    await new Promise(resolve => setImmediate(resolve));
    expect(mlflow.calls).toHaveLength(3);
  });

  it("names the endpoint when an attempt at the start ended during MLflow's test delivery", async () => {
    const mlflow = fakeMlflow();
    const transport: MlflowTransport = call =>
      call.path.endsWith("/test") ? new Promise(() => undefined) : mlflow.transport(call);
    const { keeper } = start({ transport, startupTimeout: 0.05, startupRetries: 0 });
    await vi.waitFor(() => {
      expect(keeper.state().cause).toContain("MLflow did not end its test delivery in time");
    });
  });

  it("stops at once while a call is under way, which may fail later", async () => {
    let fail: (error: Error) => void = () => undefined;
    const { keeper, logged } = start({ transport: () => new Promise((_, reject) => (fail = reject)) });
    await keeper.stop();
    fail(new MlflowError("unreachable", "too late"));
    await seconds(120);
    expect(logged()).toEqual([]);
  });

  it("can be stopped twice, and announces nothing afterwards", async () => {
    const { keeper, logged } = start({ transport: () => Promise.reject(new MlflowError("unreachable", "down")) });
    await keeper.stop();
    await keeper.stop();
    await seconds(120);
    expect(logged()).toEqual([]);
  });

  it("sends a secret to MLflow and shows it nowhere, nor the URL's credentials", async () => {
    const mlflow = fakeMlflow();
    const { keeper, lines, told } = start({ transport: mlflow.transport });
    await vi.waitFor(() => {
      expect(keeper.state().mode).toBe("webhook");
    });
    expect(mlflow.calls.find(({ method }) => method === "POST")?.body).toMatchObject({ secret: "geheim", url: URL });
    expect(JSON.stringify([lines, told])).not.toMatch(/geheim|pass|value/);
    expect(mlflow.calls.filter(({ path }) => path.endsWith("/test"))).toHaveLength(8);
  });

  it("hides a secret that MLflow repeats", async () => {
    const transport: MlflowTransport = () => Promise.reject(new MlflowError("refused", "odd value geheim", "ODD"));
    const { keeper } = start({ transport });
    await vi.waitFor(() => {
      expect(keeper.state().cause).toBe("MLflow says: odd value ***");
    });
  });

  it("names the cause at once, but says it as a warning only once", async () => {
    const { keeper, lines } = start({
      transport: () => Promise.reject(new MlflowError("unreachable", "down")),
      checkInterval: 0.02,
      startupRetries: 100,
    });
    await vi.waitFor(() => {
      expect(lines.filter(({ message }) => message === "Webhook is still not proven").length).toBeGreaterThan(2);
    });
    expect(keeper.state()).toEqual({ mode: "starting", cause: "down" });
    expect(lines.filter(({ level }) => level === "warn")).toHaveLength(1);
  });

  it("goes on when the secret cannot be read, or the state cannot be told", async () => {
    const mlflow = fakeMlflow();
    let readable = false;
    const { keeper, logged } = start({
      transport: mlflow.transport,
      checkInterval: 0.02,
      secret: () => {
        if (!readable) throw new Error("no such file");
        return "geheim";
      },
      onState: () => {
        throw new Error("nobody listens");
      },
    });
    await vi.waitFor(() => {
      expect(keeper.state().cause).toBe("no such file");
    });
    readable = true;
    await vi.waitFor(() => {
      expect(keeper.state().mode).toBe("webhook");
    });
    expect(logged()).toContain("The change of the webhook's state could not be told");
  });

  it("makes test deliveries again and again, and leaves a webhook alone that is as it should be", async () => {
    const mlflow = fakeMlflow();
    const { keeper, logged } = start({ transport: mlflow.transport, checkInterval: 0.02 });
    await vi.waitFor(() => {
      expect(mlflow.calls.filter(({ path }) => path.endsWith("/test")).length).toBeGreaterThan(12);
    });
    expect(mlflow.calls.filter(({ method, path }) => method !== "GET" && !path.endsWith("/test"))).toHaveLength(1);
    expect(keeper.state().provenAt).toBeInstanceOf(Date);
    expect(logged()).toEqual(["Webhook registered in MLflow", "Webhook registered and proven"]);
  });

  it("is a fallback from the first failed check on, and recovers", async () => {
    const mlflow = fakeMlflow();
    const { keeper, lines, logged } = start({ transport: mlflow.transport, checkInterval: 0.02 });
    const reaches = (mode: WebhookState["mode"]): Promise<void> =>
      vi.waitFor(() => {
        expect(keeper.state().mode).toBe(mode);
      });
    await reaches("webhook");
    const { provenAt } = keeper.state();
    mlflow.answer = () => Promise.reject(new MlflowError("unreachable", "down"));
    await reaches("fallback");
    expect(keeper.state()).toMatchObject({ cause: "down", provenAt });
    mlflow.answer = undefined;
    await reaches("webhook");
    expect(keeper.state()).not.toHaveProperty("cause");
    expect(logged()).toContain("Webhook does not work any more - falling back to polling mode");
    expect(lines.filter(({ message }) => message === "Webhook registered and proven").at(-1)?.fields).toMatchObject({
      recovered: true,
    });
  });

  it("relies on a new webhook only when MLflow's processes know it and what was lost is made up for", async () => {
    const mlflow = fakeMlflow();
    let attempts = 0;
    const { keeper, told, logged } = start({
      transport: mlflow.transport,
      checkInterval: 0.02,
      cacheLifetime: 60,
      catchUp: () => Promise.resolve(++attempts > 1),
    });
    await vi.waitFor(() => {
      expect(keeper.state()).toMatchObject({
        mode: "propagating",
        cause: expect.stringContaining("within 60 s") as string,
      });
    });
    await seconds(59);
    expect(attempts).toBe(0);
    await seconds(1);
    await vi.waitFor(() => {
      expect(keeper.state().mode).toBe("webhook");
    });
    expect(keeper.state()).not.toHaveProperty("cause");
    expect(attempts).toBe(2);
    expect(told.map(({ mode }) => mode)).toEqual(["propagating", "webhook"]);
    expect(logged()).toEqual([
      "Webhook registered in MLflow",
      "Webhook is proven, waiting for MLflow's processes",
      "Webhook registered and proven",
    ]);
  });

  it("propagates again after a repair", async () => {
    const mlflow = fakeMlflow();
    const { keeper } = start({ transport: mlflow.transport, checkInterval: 0.02, cacheLifetime: 60 });
    const reaches = (mode: WebhookState["mode"]): Promise<void> =>
      vi.waitFor(() => {
        expect(keeper.state().mode).toBe(mode);
      });
    await reaches("propagating");
    await seconds(60);
    await reaches("webhook");
    await mlflow.transport({
      method: "PATCH",
      path: "webhooks/1",
      body: { name: "mlflow-kserve", url: URL, events: [] },
    });
    await reaches("propagating");
    await seconds(60);
    await reaches("webhook");
  });

  it("takes up after a restart what is as it should be, without changing it", async () => {
    const mlflow = fakeMlflow();
    const first = start({ transport: mlflow.transport });
    await vi.waitFor(() => {
      expect(first.keeper.state().mode).toBe("webhook");
    });
    await first.keeper.stop();
    const { keeper } = start({ transport: mlflow.transport, cacheLifetime: 60 });
    await vi.waitFor(() => {
      expect(keeper.state().mode).toBe("webhook");
    });
    expect(mlflow.calls.filter(({ method }) => method === "PATCH")).toEqual([]);
  });
});
