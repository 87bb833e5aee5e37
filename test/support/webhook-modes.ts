import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, inject } from "vitest";
import { createMlflowTransport } from "../../capabilities/mlflow/transport";
import type { MlflowTransport } from "../../capabilities/mlflow/transport";
import { createWebhookKeeper } from "../../capabilities/mlflow/webhook-keeper";
import type { WebhookKeeper, WebhookKeeperOptions } from "../../capabilities/mlflow/webhook-keeper";
import type { WebhookState } from "../../capabilities/mlflow/webhook-state";
import type { RegisteredWebhook } from "../../capabilities/mlflow/webhook-answers";
import { listWebhooks, removeWebhook } from "../../capabilities/mlflow/webhook-registration";
import { startMlflow } from "../testbed";
import type { MlflowOptions, MlflowServer } from "../testbed";
import { SECRET, startListener } from "./listener-fixture";
import { recordingLog } from "./unit/recording-log";
import type { RecordedLine } from "./unit/recording-log";
import { waitFor } from "./waiting";

export const WEBHOOK_NAME = "mlflow-kserve";
export const FALLBACK = "Webhook registration failed - falling back to polling mode";
export const BROKEN = "Webhook does not work any more - falling back to polling mode";
export const PROVEN = "Webhook registered and proven";

/** A keeper at work, and what it said. */
export interface Kept {
  readonly keeper: WebhookKeeper;
  readonly lines: readonly RecordedLine[];
  readonly states: readonly WebhookState[];
  /** Waits until it is in this mode; for a fallback, until its cause matches. */
  readonly reaches: (mode: WebhookState["mode"], cause?: RegExp) => Promise<WebhookState>;
}

/** What is done after each test, the last first. */
export const cleanUp: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});

export function transportTo(trackingUri: string): MlflowTransport {
  return createMlflowTransport({ trackingUri, deadline: 20_000 });
}

/** A server whose deliveries are tried once, so that a test need not wait for MLflow's own retries. */
async function startOwnMlflow(options: MlflowOptions = {}): Promise<MlflowServer> {
  return await startMlflow({
    python: inject("python"),
    logDirectory: inject("logDirectory"),
    workers: 1,
    ...options,
    environment: { MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES: "0", ...options.environment },
  });
}

/** As startOwnMlflow, until the end of the test. */
export async function startMlflowForTest(options?: MlflowOptions): Promise<MlflowServer> {
  const server = await startOwnMlflow(options);
  cleanUp.push(() => server.part.stop());
  return server;
}

/**
 * Waits until so many processes of a server have started: it answers as soon as the first has, and who asks it then meets
 * the same one each time.
 */
export async function processesStarted({ logFile }: MlflowServer, count: number): Promise<void> {
  const started = (): number => readFileSync(logFile, "utf8").split("Application startup complete").length - 1;
  await waitFor(`${count} processes of MLflow (log: ${logFile})`, () => started() >= count || undefined, 60_000);
}

/** Starts a keeper that checks every half second, until the end of the test. */
export function keep(options: Pick<WebhookKeeperOptions, "transport" | "url"> & Partial<WebhookKeeperOptions>): Kept {
  const { log, lines } = recordingLog();
  const states: WebhookState[] = [];
  const keeper = createWebhookKeeper({
    name: WEBHOOK_NAME,
    installation: "test",
    cacheLifetime: 0,
    secret: () => SECRET,
    startupTimeout: 20,
    startupRetries: 0,
    checkInterval: 0.5,
    log,
    onState: state => states.push(state),
    ...options,
  });
  cleanUp.push(() => keeper.stop());
  const reaches: Kept["reaches"] = async (mode, cause = /.*/) =>
    await waitFor(`the mode ${mode} with ${String(cause)}, now ${JSON.stringify(keeper.state())}`, () => {
      const state = keeper.state();
      return state.mode === mode && cause.test(state.cause ?? "") ? state : undefined;
    });
  return { keeper, lines, states, reaches };
}

export async function endpoint(): Promise<string> {
  return `${(await startListener()).url}/webhook`;
}

export function messages(lines: readonly RecordedLine[]): string[] {
  return lines.filter(({ level }) => level !== "debug").map(({ level, message }) => `${level} ${message}`);
}

/** All webhooks of the name that tests use, the oldest first. */
export async function listed(transport: MlflowTransport): Promise<RegisteredWebhook[]> {
  const named = (await listWebhooks(transport)).filter(({ name }) => name === WEBHOOK_NAME);
  return named.sort((one, other) => one.creation_timestamp - other.creation_timestamp);
}

export function expectNoSecret({ lines, states }: Kept): void {
  expect(JSON.stringify([lines, states])).not.toContain(SECRET);
}

/** Milliseconds after which the testbed's MLflow delivers to a new webhook. */
const NOTICED = 1_500;

/** Has MLflow deliver to a webhook of this name, until the test has ended. */
export async function haveDelivered(trackingUri: string, name: string, url: string): Promise<void> {
  const transport = transportTo(trackingUri);
  cleanUp.push(async () => {
    const own = (await listWebhooks(transport)).filter(webhook => webhook.name === name);
    for (const { webhook_id: id } of own) await removeWebhook(transport, id);
  });
  await keep({ transport, name, url, startupTimeout: 30 }).reaches("webhook");
  await untilNoticed();
}

/** Waits until the testbed's MLflow delivers to a webhook that has just been registered. */
export async function untilNoticed(): Promise<void> {
  await sleep(NOTICED);
}
