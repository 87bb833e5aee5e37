import { randomBytes } from "node:crypto";
import { connectToApiServer } from "../../capabilities/kubernetes/api-server";
import { createInferenceServices } from "../../capabilities/kserve/inference-services";
import type { LiveInferenceService } from "../../capabilities/kserve/live-inference-service";
import { inferenceServiceName } from "../../capabilities/kserve/names";
import { isReady } from "../../capabilities/kserve/service-state";
import { startModuleUnderTest } from "../bench/module-under-test";
import type { ModuleUnderTest } from "../bench/module-under-test";
import { kubeConfigFrom } from "../support/kube-config";
import { openRegistry } from "../support/mlflow-registry";
import { installPeprStore } from "../support/pepr-store";
import { waitFor } from "../support/waiting";
import type { Kubectl } from "../testbed/kubectl";
import { freePort } from "../testbed/ports";

/** Milliseconds for one step; a poll is due every ten seconds. */
const STEP_TIMEOUT = 90_000;

/** Milliseconds until the module has said what it makes of MLflow's webhooks. */
const MODE_TIMEOUT = 120_000;

export interface CycleOptions {
  readonly kubeconfig: string;
  readonly kubectl: Kubectl;
  readonly logDirectory: string;
  readonly trackingUri: string;
  /** For the names of logs and of the namespace. */
  readonly name: string;
}

/** Seconds from the tag, or its end, to what follows from it in the cluster. */
export interface Seconds {
  readonly deployed: number;
  /** Until KServe says that it is Ready. */
  readonly ready: number;
  readonly removed: number;
}

/** What came of the main cycle with one release. */
export interface CycleResult {
  /** What /health says carries the work, once that is decided. */
  readonly mode: string;
  /** Why it is not the webhook. */
  readonly cause: string | undefined;
  /** By MLflow's own deliveries; undefined where it makes none. */
  readonly byWebhook: Seconds | undefined;
  readonly byPoll: Seconds;
}

/**
 * Plays the main cycle, the module in processes of its own with Pepr's runtime: a version is tagged and served, loses its
 * tag and is not; by the poll alone, and by webhook where MLflow has them.
 *
 * @throws Error for a step that does not come to its end; the message says which
 */
export async function playCycle(options: CycleOptions): Promise<CycleResult> {
  const { kubeconfig, kubectl } = options;
  await installPeprStore(kubectl, kubeconfig);
  const namespace = `compatible-${randomBytes(3).toString("hex")}`;
  await kubectl(["create", "namespace", namespace]);
  try {
    const byPoll = await withPoll(options, namespace);
    return { ...(await withWebhook(options, namespace)), byPoll };
  } finally {
    await kubectl(["delete", "namespace", namespace, "--wait=false"]);
  }
}

async function withPoll(options: CycleOptions, namespace: string): Promise<Seconds> {
  const watcher = await startModuleUnderTest({
    ...options,
    name: `${options.name}-watcher`,
    role: "watcher",
    settings: {
      ...commonSettings(options, namespace),
      DISABLE_WEBHOOKS: "true",
      POLLING_INTERVAL: "10",
    },
  });
  try {
    return await tagAndUntag(options, namespace, "poll");
  } finally {
    await watcher.stop();
  }
}

async function withWebhook(
  options: CycleOptions,
  namespace: string,
): Promise<Pick<CycleResult, "mode" | "cause" | "byWebhook">> {
  const port = String(await freePort());
  const endpoint = await startModuleUnderTest({
    ...options,
    name: `${options.name}-endpoint`,
    role: "endpoint",
    settings: {
      ...commonSettings(options, namespace),
      MLFLOW_WEBHOOK_URL: `http://127.0.0.1:${port}/webhook`,
      APP_PORT: port,
      // As mlflowEnvironment() has it for the server.
      MLFLOW_WEBHOOK_CACHE_TTL: "1",
      WEBHOOK_STARTUP_TIMEOUT: "5",
      WEBHOOK_STARTUP_RETRIES: "1",
    },
  });
  try {
    const { mode, cause } = await modeOf(endpoint);
    const byWebhook = mode === "webhook" ? await tagAndUntag(options, namespace, "webhook") : undefined;
    return { mode, cause, byWebhook };
  } finally {
    await endpoint.stop();
  }
}

function commonSettings({ trackingUri }: CycleOptions, namespace: string): Record<string, string> {
  return { MLFLOW_TRACKING_URI: trackingUri, KUBE_NAMESPACE: namespace };
}

/** What the module says once it knows: it registers, proves and, where that fails, falls back to the poll. */
async function modeOf({ url }: ModuleUnderTest): Promise<Pick<CycleResult, "mode" | "cause">> {
  return await waitFor(
    "a mode",
    async () => {
      const { mode, cause } = (await (await fetch(`${url}/health`)).json()) as { mode: string; cause?: string };
      return mode === "webhook" || mode === "fallback" ? { mode, cause } : undefined;
    },
    MODE_TIMEOUT,
  );
}

async function tagAndUntag({ trackingUri, kubeconfig }: CycleOptions, namespace: string, by: string): Promise<Seconds> {
  const registry = openRegistry(trackingUri);
  const services = createInferenceServices(connectToApiServer(15_000, kubeConfigFrom(kubeconfig)), namespace);
  const suffix = randomBytes(3).toString("hex");
  // The first stays: all that there is at once would be a mass deletion.
  const stays = await registry.register(`compatible-${suffix}-stays`, "s3://models/x");
  const goes = await registry.register(`compatible-${suffix}`, "s3://models/x");
  await registry.setTag(stays, "deploy", "true");
  const name = inferenceServiceName(goes, namespace);
  const until = async (what: string, since: number, isSo: (live: LiveInferenceService | undefined) => boolean) => {
    const look = async (): Promise<true | undefined> => isSo(await services.get(name)) || undefined;
    await waitFor(`${name} ${what} by ${by}`, look, STEP_TIMEOUT);
    return Math.round((performance.now() - since) / 100) / 10;
  };
  const tagged = performance.now();
  await registry.setTag(goes, "deploy", "true");
  const deployed = await until("deployed", tagged, live => live !== undefined);
  const ready = await until("Ready", tagged, live => live !== undefined && isReady(live));
  const untagged = performance.now();
  await registry.deleteTag(goes, "deploy");
  const removed = await until("removed", untagged, live => live?.metadata.deletionTimestamp !== undefined || !live);
  return { deployed, ready, removed };
}
