import { setTimeout as sleep } from "node:timers/promises";
import { inferenceServiceName } from "../../../capabilities/kserve/names";
import { createMlflowTransport } from "../../../capabilities/mlflow/transport";
import { registerWebhook } from "../../../capabilities/mlflow/webhook-registration";
import { startMlflowWith } from "../../load/large-registry";
import { readMetrics } from "../../load/prometheus-text";
import { followObjects } from "../../support/followed-objects";
import { openRegistry } from "../../support/mlflow-registry";
import { waitFor } from "../../support/waiting";
import type { MlflowServer } from "../../testbed";
import { apiServerClient, expectSuccess, freshConnections, keptConnections } from "../bare-client";
import type { BareClient } from "../bare-client";
import { runLoad, summarize } from "../load";
import type { Load, LoadSummary } from "../load";
import { SECRET, startModuleUnderTest } from "../module-under-test";
import type { ModuleUnderTest } from "../module-under-test";
import type { StatusTagResults } from "../results";
import { signedDelivery } from "../signed-delivery";
import { modelNames } from "../world";
import type { World } from "../world";
import { searchBare } from "./bare-poll";

/** Deliveries with status tags and without are measured in turns, so often. */
const TURNS = 4;

/** Tags, and states of services, that are being set at the same time before the measurement. */
const CLIENTS = 8;

/** Seconds: nothing is polled but once, at the start. */
const NO_POLLING = "86400";

/** Seconds for which a process of MLflow does not see a new webhook; 60 where nobody says it. */
const WEBHOOK_CACHE = "1";

/** Milliseconds from one search for what is waited for to the next: each costs MLflow time that is measured. */
const SEARCH_EVERY = 1_000;

/** Models that a person may tag while the tags of many versions are being written, one after the other. */
const PERSONS_MODELS = 1_000;

/** Milliseconds that writing all tags may take before it counts as never. */
const PATIENCE = 600_000;

/** A module as it is installed: an endpoint that MLflow delivers to, and a watcher that writes the status tags. */
interface Installation {
  readonly namespace: string;
  readonly mlflow: MlflowServer;
  readonly reader: BareClient;
  readonly endpoint: BareClient;
  readonly modules: readonly [ModuleUnderTest, ModuleUnderTest];
}

/**
 * What the status tags cost: deliveries with them and without, in turns; then the tags of many versions that become Ready at
 * once, and how long a tag that a person sets takes meanwhile.
 */
export async function measureStatusTags(world: World): Promise<StatusTagResults> {
  const { deliveries, clients, statusTags } = world.sizes;
  const concurrencies = [Math.min(...clients), Math.max(...clients)];
  const models = modelNames("told", Math.max(deliveries * concurrencies.length, statusTags));
  const apiServer = await apiServerClient(world.kubeconfig);
  const installations: Installation[] = [];
  try {
    for (const isOn of [false, true]) installations.push(await install(world, models, isOn));
    const [off, on] = installations;
    if (off === undefined || on === undefined) throw new Error("Nothing was installed");
    const levels: StatusTagResults["levels"][number][] = [];
    for (const [at, level] of concurrencies.entries()) {
      const ofLevel = models.slice(at * deliveries, (at + 1) * deliveries);
      levels.push({ clients: level, ...(await measureInTurns(off, on, ofLevel, level, at * deliveries)) });
    }
    const ready = await measureReadyAtOnce(world, on, apiServer, models.slice(0, statusTags));
    return { levels, ready };
  } finally {
    apiServer.close();
    for (const { reader, endpoint, modules, mlflow } of installations) {
      reader.close();
      endpoint.close();
      await Promise.all(modules.map(module => module.stop()));
      await mlflow.part.stop();
    }
  }
}

/** Installs a module with an MLflow of its own. The models get their tag before the webhook is there, which delivers none of them. */
async function install(world: World, models: readonly string[], isOn: boolean): Promise<Installation> {
  const { python, logDirectory, sizes } = world;
  const mlflow = await startMlflowWith(
    { models: [...models, ...persons(world)], versions: 1, tagged: 0, tag: "deploy", runs: false },
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
    STATUS_TAGS: String(isOn),
  };
  const name = `status-tags-${isOn ? "on" : "off"}`;
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
  return {
    ...{ namespace, mlflow, modules: [endpoint, watcher] },
    reader: freshConnections(trackingUri),
    endpoint: keptConnections(endpoint.url),
  };
}

/** Deliveries to both installations in turns, each after the tags of the last are written. */
async function measureInTurns(
  off: Installation,
  on: Installation,
  models: readonly string[],
  clients: number,
  deliveredBefore: number,
): Promise<{ off: LoadSummary; on: LoadSummary }> {
  const loads: Record<"off" | "on", Load[]> = { off: [], on: [] };
  for (let turn = 0; turn < TURNS; turn++) {
    const from = Math.floor((models.length * turn) / TURNS);
    const count = Math.floor((models.length * (turn + 1)) / TURNS) - from;
    // Who comes first changes, so that what the machine does over time is no difference.
    for (const which of turn % 2 === 0 ? (["off", "on"] as const) : (["on", "off"] as const)) {
      const { endpoint } = which === "on" ? on : off;
      loads[which].push(await runLoad(count, clients, at => deliver(endpoint, models[at]), from));
      if (which === "on") await untilTagged(on, "LIKE '%'", deliveredBefore + from + count);
    }
  }
  return { off: summarize(...loads.off), on: summarize(...loads.on) };
}

/** All services become Ready as fast as the API server takes it; until their tags say so, a person tags one model after the other. */
async function measureReadyAtOnce(
  world: World,
  installation: Installation,
  apiServer: BareClient,
  models: readonly string[],
): Promise<StatusTagResults["ready"]> {
  const { namespace, endpoint, mlflow } = installation;
  const collection = `/apis/serving.kserve.io/v1beta1/namespaces/${namespace}/inferenceservices`;
  const nameOf = (model: string): string => inferenceServiceName(keyOf(model), namespace);
  const registry = openRegistry(mlflow.trackingUri);
  const rest = persons(world);
  const waiting = new Map<string, () => void>();
  const followed = await followObjects(world.kubeconfig, collection, objects => {
    for (const [name, found] of waiting) if (objects.has(name)) found();
  });
  /** From the tag to its InferenceService. */
  const tagAsPerson = async (): Promise<void> => {
    const model = rest.pop() ?? "";
    const appeared = new Promise<void>(resolve => waiting.set(nameOf(model), resolve));
    await registry.setTag(keyOf(model), "deploy", "true");
    await appeared;
    waiting.delete(nameOf(model));
  };
  // What was not delivered by the loads before.
  await runLoad(models.length, CLIENTS, at => deliver(endpoint, models[at]));
  await untilTagged(installation, "LIKE '%'", models.length);
  const alone = await runLoad(world.sizes.personsTags, 1, tagAsPerson);
  const start = performance.now();
  const setReady = runLoad(models.length, CLIENTS, async at => {
    const model = models[at] ?? "";
    expectSuccess(
      `The state of ${model}`,
      await apiServer.send(readyPatch(`${collection}/${nameOf(model)}/status`, model)),
    );
  });
  const latencies: number[] = [];
  const ended = new AbortController();
  const person = (async () => {
    while (!ended.signal.aborted && rest.length > 0) latencies.push(...(await runLoad(1, 1, tagAsPerson)).latencies);
    return (performance.now() - start) / 1000;
  })();
  const written = (async () => {
    await setReady;
    await untilTagged(installation, "= 'Ready'", models.length);
    return (performance.now() - start) / 1000;
  })().finally(() => {
    ended.abort();
  });
  const [{ seconds: secondsToReady }, secondsToTags, seconds] = await Promise.all([setReady, written, person]);
  followed.stop();
  return {
    ...{ versions: models.length, secondsToReady, secondsToTags },
    person: { alone: summarize(alone), meanwhile: summarize({ latencies, seconds }) },
  };
}

/** As KServe says it of a predictor that has come up. */
function readyPatch(path: string, model: string): Parameters<BareClient["send"]>[0] {
  const condition = { type: "Ready", status: "True", lastTransitionTime: new Date().toISOString() };
  const url = `http://${model}.example.com`;
  const status = { conditions: [condition], url, address: { url } };
  const headers = { "content-type": "application/merge-patch+json" };
  return { method: "PATCH", path, headers, body: JSON.stringify({ status }) };
}

/** Waits until so many versions have a tag `serving` of which that holds. */
async function untilTagged({ reader, namespace }: Installation, holds: string, count: number): Promise<void> {
  const giveUpAt = performance.now() + PATIENCE;
  while ((await searchBare(reader, `tag.serving ${holds}`)) < count) {
    if (performance.now() > giveUpAt) throw new Error(`${count} versions of ${namespace} do not get their tags`);
    await sleep(SEARCH_EVERY);
  }
}

/** @throws Error when it is not answered as it should be */
async function deliver(endpoint: BareClient, model: string | undefined): Promise<void> {
  const delivery = signedDelivery(keyOf(model), SECRET);
  expectSuccess(
    `A delivery about ${model ?? ""}`,
    await endpoint.send({ method: "POST", path: "/webhook", ...delivery }),
  );
}

/** Models that a person tags. */
function persons({ sizes: { personsTags } }: World): string[] {
  return modelNames("person", personsTags + PERSONS_MODELS);
}

function keyOf(model = ""): { model: string; version: string } {
  return { model, version: "1" };
}
