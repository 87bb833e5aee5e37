import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { recordingLog } from "../../test/support/unit/recording-log";
import type { RecordedLine } from "../../test/support/unit/recording-log";
import { MlflowError } from "./errors";
import type { MlflowCall, MlflowTransport } from "./transport";
import { createWebhookKeeper } from "./webhook-keeper";
import type { WebhookKeeper, WebhookKeeperOptions, WebhookState } from "./webhook-keeper";

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
  it("announces the fallback after the startup time, even while MLflow never answers", async () => {
    const { keeper, told, logged } = start({ transport: () => new Promise(() => undefined) });
    await seconds(59);
    expect(keeper.state()).toEqual({ mode: "starting" });
    await seconds(1);
    expect(logged()).toEqual(FALLBACK);
    expect(told).toHaveLength(1);
    expect(told[0]).toMatchObject({ mode: "fallback", cause: expect.stringContaining("within 60 s") as string });
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
});
