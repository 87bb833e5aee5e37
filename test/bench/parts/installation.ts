import { setTimeout as sleep } from "node:timers/promises";
import { createMlflowTransport } from "../../../capabilities/mlflow/transport";
import { registerWebhook } from "../../../capabilities/mlflow/webhook-registration";
import type { ModelVersionKey } from "../../../capabilities/support/model-version-key";
import { startMlflowWith } from "../../load/large-registry";
import { readMetrics } from "../../load/prometheus-text";
import { openRegistry } from "../../support/mlflow-registry";
import { waitFor } from "../../support/waiting";
import type { MlflowServer } from "../../testbed";
import { freshConnections, keptConnections } from "../bare-client";
import type { BareClient } from "../bare-client";
import { runLoad } from "../load";
import { SECRET, startModuleUnderTest } from "../module-under-test";
import type { ModuleUnderTest } from "../module-under-test";
import type { World } from "../world";
import { searchBare } from "./bare-poll";

/** Tags that are being set at the same time before the measurement. */
const CLIENTS = 8;

/** Seconds: nothing is polled but once, at the start. */
const NO_POLLING = "86400";

/** Seconds for which a process of MLflow does not see a new webhook; 60 where nobody says it. */
const WEBHOOK_CACHE = "1";

/** Milliseconds from one search for what is waited for to the next: each costs MLflow time that is measured. */
const SEARCH_EVERY = 1_000;

/** Milliseconds that writing all tags may take before it counts as never. */
const PATIENCE = 600_000;

/** A module as it is installed: an endpoint that MLflow delivers to, and a watcher that writes the status tags. */
export interface Installation {
  readonly namespace: string;
  readonly mlflow: MlflowServer;
  readonly reader: BareClient;
  readonly endpoint: BareClient;
  readonly watcher: ModuleUnderTest;
  readonly stop: () => Promise<void>;
}

/**
 * Installs a module with an MLflow of its own.
 *
 * @param models get their tag before the webhook is there, so that nothing of them is delivered
 * @param others are there without it
 * @param statusTags whether the watcher writes them
 */
export async function install(
  world: World,
  models: readonly string[],
  others: readonly string[],
  statusTags: boolean,
): Promise<Installation> {
  const { python, logDirectory, sizes } = world;
  const mlflow = await startMlflowWith(
    { models: [...models, ...others], versions: 1, tagged: 0, tag: "deploy", runs: false },
    {
      ...{ python, logDirectory, workers: sizes.mlflowProcesses },
      environment: { MLFLOW_WEBHOOK_CACHE_TTL: WEBHOOK_CACHE },
    },
  );
  const { trackingUri } = mlflow;
  const namespace = await world.createNamespace("told");
  const settings = {
    MLFLOW_TRACKING_URI: trackingUri,
    KUBE_NAMESPACE: namespace,
    POLLING_INTERVAL: NO_POLLING,
    STATUS_TAGS: String(statusTags),
  };
  const name = `status-tags-${statusTags ? "on" : "off"}`;
  const watcher = await startModuleUnderTest({ ...world, name: `${name}-watcher`, role: "watcher", settings });
  await waitFor("the watcher's first poll", async () => {
    return (await readMetrics(watcher.url)).value("poll_last_success_timestamp_seconds") > 0 || undefined;
  });
  const endpoint = await startModuleUnderTest({ ...world, name: `${name}-endpoint`, role: "endpoint", settings });
  const registry = openRegistry(trackingUri);
  await runLoad(models.length, CLIENTS, at => registry.setTag(keyOf(models[at]), "deploy", "true"));
  await registerWebhook(createMlflowTransport({ trackingUri, deadline: 30_000 }), {
    ...{ name: "bench", url: `${endpoint.url}/webhook`, installation: "bench", secret: SECRET },
  });
  const [reader, kept] = [freshConnections(trackingUri), keptConnections(endpoint.url)];
  return {
    ...{ namespace, mlflow, watcher, reader, endpoint: kept },
    async stop() {
      reader.close();
      kept.close();
      await Promise.all([endpoint.stop(), watcher.stop()]);
      await mlflow.part.stop();
    },
  };
}

/** Waits until so many versions have a tag `serving` of which that holds. */
export async function untilTagged({ reader, namespace }: Installation, holds: string, count: number): Promise<void> {
  const giveUpAt = performance.now() + PATIENCE;
  while ((await searchBare(reader, `tag.serving ${holds}`)) < count) {
    if (performance.now() > giveUpAt) throw new Error(`${count} versions of ${namespace} do not get their tags`);
    await sleep(SEARCH_EVERY);
  }
}

/** The one version of a model. */
export function keyOf(model = ""): ModelVersionKey {
  return { model, version: "1" };
}
