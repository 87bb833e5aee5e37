import { connectToApiServer } from "../../../capabilities/kubernetes/api-server";
import { createInferenceServices } from "../../../capabilities/kserve/inference-services";
import { inferenceServiceName } from "../../../capabilities/kserve/names";
import type { MlflowServer } from "../../testbed";
import { kubeConfigFrom } from "../../support/kube-config";
import { listManaged } from "../../support/managed-services";
import { openRegistry } from "../../support/mlflow-registry";
import { apiServerClient, freshConnections, keptConnections } from "../bare-client";
import type { BareClient } from "../bare-client";
import { deliver } from "../deliver";
import { harmonicSum, runLoad, summarize } from "../load";
import type { Load } from "../load";
import { startModuleUnderTest } from "../module-under-test";
import type { ModuleUnderTest } from "../module-under-test";
import { peakMemory, processorSeconds, processorSecondsOf } from "../processes";
import type { DeliveryLevel, DeliveryResults } from "../results";
import { modelNames, startFilledMlflow } from "../world";
import type { World } from "../world";
import { createBareApply, createBareRemoval, readBare } from "./limit";
import type { BareRequest } from "./limit";

/** Each load is sent in so many pieces, in turn with the loads that it is compared with. */
const TURNS = 2;

/** Deliveries before the first that is measured: a process that has just been started is another matter. */
const WARM_UP = 0.25;

/** Tags that are being taken away at the same time. */
const UNTAGGING = 8;

/** Reads over kept connections, which MLflow answers slowly. */
const KEPT_READS = 40;

/** A kind of delivery, by what it makes the module do. */
interface Kind {
  readonly kind: string;
  readonly action: "created" | "updated" | "deleted" | "unchanged";
  readonly cpuRequest: string;
  /** Whether the versions have the tag: all the time, until right before, or never. */
  readonly tagged: "always" | "before" | "never";
  /** Whether each version has a run. */
  readonly runs: boolean;
  readonly clients: readonly number[];
}

/**
 * Signed deliveries of different versions, and right beside them what a delivery is made of, done bare: a read of MLflow
 * and an Apply; for a removal the read, a look at the InferenceService and its Delete; for a version without the tag the
 * read and the look.
 */
export async function measureDeliveries(world: World): Promise<DeliveryResults> {
  const { clients } = world.sizes;
  const atMost = [most(clients)];
  const create: Kind = {
    ...{ kind: "create", action: "created", cpuRequest: "100m", tagged: "always", runs: false, clients },
  };
  const update: Kind = { ...create, kind: "update", action: "updated", cpuRequest: "200m" };
  const remove: Kind = { ...update, kind: "remove", action: "deleted", tagged: "before", clients: atMost };
  const untagged: Kind = { ...update, kind: "without the tag", action: "unchanged", tagged: "never", clients: atMost };
  const ofRuns: Kind = { ...create, kind: "create, from a run", runs: true, clients: atMost };
  const plain = await measureOnOneMlflow(world, [create, update, remove, untagged]);
  return { ...plain, levels: [...plain.levels, ...(await measureOnOneMlflow(world, [ofRuns])).levels] };
}

/** @param kinds the first is of all concurrencies that the others are of */
async function measureOnOneMlflow(world: World, kinds: readonly [Kind, ...Kind[]]): Promise<DeliveryResults> {
  const [{ runs, clients }] = kinds;
  const count = world.sizes.deliveries;
  const warmUp = Math.ceil(count * WARM_UP);
  const models = modelNames("model", count * clients.length + warmUp);
  const untagged = kinds.some(({ tagged }) => tagged === "never") ? modelNames("untagged", count) : [];
  const mlflow = await startFilledMlflow(world, { models: [...models, ...untagged], tagged: models.length, runs });
  const namespace = await world.createNamespace("delivered");
  const bareNamespaces = [await world.createNamespace("bare"), await world.createNamespace("bare")] as const;
  const [reader, apiServer] = [freshConnections(mlflow.trackingUri), await apiServerClient(world.kubeconfig)];
  const levels: DeliveryLevel[] = [];
  try {
    for (const kind of kinds) {
      const module = await startModuleUnderTest({
        ...world,
        name: `deliveries-${kind.kind.replace(/\W+/g, "-")}`,
        role: "endpoint",
        settings: {
          MLFLOW_TRACKING_URI: mlflow.trackingUri,
          KUBE_NAMESPACE: namespace,
          PREDICTOR_CPU_REQUEST: kind.cpuRequest,
        },
      });
      try {
        const bare = bareRequests(kind, bareNamespaces[0]);
        const bareInTurn = bareRequests(kind, bareNamespaces[1]);
        const bench = { world, mlflow, namespace, module, reader, apiServer, bare, bareInTurn };
        const apply = createBareApply(bareNamespaces[0], kind.cpuRequest, kind.action !== "created");
        await warm(bench, apply, models.slice(0, warmUp), most(clients));
        for (const level of kind.clients) {
          const from = warmUp + clients.indexOf(level) * count;
          const ofLevel = kind.tagged === "never" ? untagged : models.slice(from, from + count);
          levels.push(await measureLevel(bench, kind, level, ofLevel));
        }
      } finally {
        await module.stop();
      }
    }
    const kept = keptConnections(mlflow.trackingUri);
    const keptReads = await runLoad(Math.min(KEPT_READS, count), 1, at => readBare(kept, nth(models, at)));
    kept.close();
    return { levels, keptConnectionRead: summarize(keptReads) };
  } finally {
    reader.close();
    apiServer.close();
    await mlflow.part.stop();
  }
}

interface Bench {
  readonly world: World;
  readonly mlflow: MlflowServer;
  readonly namespace: string;
  readonly module: ModuleUnderTest;
  readonly reader: BareClient;
  readonly apiServer: BareClient;
  readonly bare: BareRequests;
  /** In another namespace: of objects that nothing was done to before. */
  readonly bareInTurn: BareRequests;
}

/** What a kind of delivery asks of the API server. */
interface BareRequests {
  readonly look?: BareRequest;
  readonly write?: BareRequest;
}

function bareRequests({ action, cpuRequest }: Kind, namespace: string): BareRequests {
  const { look, remove } = createBareRemoval(namespace);
  if (action === "deleted") return { look, write: remove };
  if (action === "unchanged") return { look };
  return { write: createBareApply(namespace, cpuRequest, action === "updated") };
}

/** With versions that have the tag: what the measured deliveries find is a module that has been at work. */
async function warm(
  { module, apiServer }: Bench,
  apply: BareRequest,
  models: readonly string[],
  clients: number,
): Promise<void> {
  const endpoint = keptConnections(module.url);
  await runLoad(models.length, clients, at => deliver(endpoint, nth(models, at)));
  await runLoad(models.length, clients, at => apply(apiServer, nth(models, at)));
  await module.idle();
  endpoint.close();
}

async function measureLevel(
  { world, mlflow, namespace, module, reader, apiServer, bare, bareInTurn }: Bench,
  { kind, action, cpuRequest, tagged }: Kind,
  clients: number,
  models: readonly string[],
): Promise<DeliveryLevel> {
  const endpoint = keptConnections(module.url);
  const loads: Record<"reads" | "looks" | "writes" | "inTurn" | "deliveries", Load[]> = {
    ...{ reads: [], looks: [], writes: [], inTurn: [], deliveries: [] },
  };
  const oneOfEach = async (at: number): Promise<void> => {
    await readBare(reader, nth(models, at));
    await bareInTurn.look?.(apiServer, nth(models, at));
    await bareInTurn.write?.(apiServer, nth(models, at));
  };
  const processor = { module: 0, mlflow: 0, apiServer: 0 };
  const times = (): typeof processor => ({
    module: processorSeconds(module.pid),
    mlflow: processorSecondsOf(mlflow.part),
    apiServer: processorSecondsOf(world.apiServerPart),
  });
  if (tagged === "before") await untag(mlflow, models);
  for (let turn = 0; turn < TURNS; turn++) {
    const from = Math.floor((models.length * turn) / TURNS);
    const count = Math.floor((models.length * (turn + 1)) / TURNS) - from;
    loads.reads.push(await runLoad(count, clients, at => readBare(reader, nth(models, at)), from));
    const { look, write } = bare;
    if (look) loads.looks.push(await runLoad(count, clients, at => look(apiServer, nth(models, at)), from));
    if (write) loads.writes.push(await runLoad(count, clients, at => write(apiServer, nth(models, at)), from));
    loads.inTurn.push(await runLoad(count, clients, oneOfEach, from));
    const before = times();
    const deliverNext = (at: number): Promise<void> => deliver(endpoint, nth(models, at), action);
    loads.deliveries.push(await runLoad(count, clients, deliverNext, from));
    await module.idle();
    const after = times();
    for (const part of ["module", "mlflow", "apiServer"] as const) processor[part] += after[part] - before[part];
  }
  endpoint.close();
  await checkCluster(world, namespace, models, tagged === "always" ? cpuRequest : undefined);
  const reads = summarize(...loads.reads);
  const [looks, writes] = [loads.looks, loads.writes].map(some => (some.length === 0 ? undefined : summarize(...some)));
  const rates = [reads, looks, writes].flatMap(load => (load === undefined ? [] : [load.perSecond]));
  return {
    ...{ kind, clients, reads, looks, writes, inTurn: summarize(...loads.inTurn) },
    limit: harmonicSum(...rates),
    deliveries: summarize(...loads.deliveries),
    processor,
    memory: peakMemory(module.pid),
  };
}

/** Takes the tag away, which no webhook tells the module of. */
async function untag(mlflow: MlflowServer, models: readonly string[]): Promise<void> {
  const registry = openRegistry(mlflow.trackingUri);
  await runLoad(models.length, UNTAGGING, at => registry.deleteTag({ model: nth(models, at), version: "1" }, "deploy"));
}

/**
 * What was answered 200 must be in the cluster, as it was to be.
 *
 * @param cpuRequest of the services; undefined where there are to be none, but such as are being deleted
 */
async function checkCluster(
  { kubeconfig, problem }: World,
  namespace: string,
  models: readonly string[],
  cpuRequest: string | undefined,
): Promise<void> {
  const services = createInferenceServices(connectToApiServer(30_000, kubeConfigFrom(kubeconfig)), namespace);
  const staying = (await listManaged(services)).filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const specs = new Map(staying.map(({ metadata, spec }) => [metadata.name, spec]));
  const wrong = models.filter(model => {
    const spec = specs.get(inferenceServiceName({ model, version: "1" }, namespace));
    if (cpuRequest === undefined) return spec !== undefined;
    return !JSON.stringify(spec ?? {}).includes(`"cpu":"${cpuRequest}"`);
  });
  if (wrong.length > 0)
    problem(`${wrong.length} deliveries were answered 200 and not carried out, for example that of ${wrong[0] ?? ""}`);
}

function most(numbers: readonly number[]): number {
  return Math.max(...numbers);
}

function nth(models: readonly string[], index: number): string {
  const model = models[index];
  if (model === undefined) throw new Error(`There is no model number ${index}`);
  return model;
}
