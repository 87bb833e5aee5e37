import { connectToApiServer } from "../../../capabilities/kubernetes/api-server";
import { createInferenceServices } from "../../../capabilities/kserve/inference-services";
import { inferenceServiceName } from "../../../capabilities/kserve/names";
import type { MlflowServer } from "../../testbed";
import { kubeConfigFrom } from "../../support/kube-config";
import { listManaged } from "../../support/managed-services";
import { apiServerClient, freshConnections, keptConnections } from "../bare-client";
import type { BareClient } from "../bare-client";
import { harmonicSum, runLoad, summarize } from "../load";
import type { Load } from "../load";
import { SECRET, startModuleUnderTest } from "../module-under-test";
import type { ModuleUnderTest } from "../module-under-test";
import { peakMemory, processorSeconds, processorSecondsOf } from "../processes";
import type { DeliveryLevel, DeliveryResults } from "../results";
import { signedDelivery } from "../signed-delivery";
import { modelNames, startFilledMlflow } from "../world";
import type { World } from "../world";
import { createBareApply, readBare } from "./limit";
import type { BareApply } from "./limit";

/** Each load is sent in so many pieces, in turn with the loads that it is compared with. */
const TURNS = 2;

/** Deliveries before the first that is measured: a process that has just been started is another matter. */
const WARM_UP = 0.25;

/** Reads over kept connections, which MLflow answers slowly. */
const KEPT_READS = 40;

/** A kind of delivery, by what it makes the module do. */
interface Kind {
  readonly kind: string;
  readonly action: "created" | "updated";
  readonly cpuRequest: string;
  /** Whether each version has a run, about which MLflow is asked once. */
  readonly runs: boolean;
  readonly clients: readonly number[];
}

/**
 * Signed deliveries of different versions, and right beside them what a delivery is made of, done bare: a read of MLflow
 * and an Apply.
 */
export async function measureDeliveries(world: World): Promise<DeliveryResults> {
  const { clients } = world.sizes;
  const most = Math.max(...clients);
  const create: Kind = { kind: "create", action: "created", cpuRequest: "100m", runs: false, clients };
  const update: Kind = { ...create, kind: "update", action: "updated", cpuRequest: "200m" };
  const ofRuns: Kind = { ...create, kind: "create, from a run", runs: true, clients: [most] };
  const plain = await measureOnOneMlflow(world, [create, update]);
  return { ...plain, levels: [...plain.levels, ...(await measureOnOneMlflow(world, [ofRuns])).levels] };
}

async function measureOnOneMlflow(world: World, kinds: readonly [Kind, ...Kind[]]): Promise<DeliveryResults> {
  const [{ runs, clients }] = kinds;
  const count = world.sizes.deliveries;
  const warmUp = Math.ceil(count * WARM_UP);
  const models = modelNames("model", count * clients.length + warmUp);
  const mlflow = await startFilledMlflow(world, { models, runs });
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
        const [apply, applyInTurn] = bareNamespaces.map(one =>
          createBareApply(one, kind.cpuRequest, kind.action === "updated"),
        ) as [BareApply, BareApply];
        const bench = { world, mlflow, namespace, module, reader, apiServer, apply, applyInTurn };
        await warm(bench, models.slice(0, warmUp), most(clients));
        for (const [index, level] of clients.entries()) {
          const from = warmUp + index * count;
          levels.push(await measureLevel(bench, kind, level, models.slice(from, from + count)));
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
  readonly apply: BareApply;
  /** In another namespace: of objects that were not applied before. */
  readonly applyInTurn: BareApply;
}

async function warm({ module, apiServer, apply }: Bench, models: readonly string[], clients: number): Promise<void> {
  const endpoint = keptConnections(module.url);
  await runLoad(models.length, clients, at => deliver(endpoint, nth(models, at)));
  await runLoad(models.length, clients, at => apply(apiServer, nth(models, at)));
  await module.idle();
  endpoint.close();
}

async function measureLevel(
  { world, mlflow, namespace, module, reader, apiServer, apply, applyInTurn }: Bench,
  { kind, action, cpuRequest }: Kind,
  clients: number,
  models: readonly string[],
): Promise<DeliveryLevel> {
  const endpoint = keptConnections(module.url);
  const loads: Record<"reads" | "applies" | "inTurn" | "deliveries", Load[]> = {
    ...{ reads: [], applies: [], inTurn: [], deliveries: [] },
  };
  const readAndApply = async (at: number): Promise<void> => {
    await readBare(reader, nth(models, at));
    await applyInTurn(apiServer, nth(models, at));
  };
  const processor = { module: 0, mlflow: 0, apiServer: 0 };
  const times = (): typeof processor => ({
    module: processorSeconds(module.pid),
    mlflow: processorSecondsOf(mlflow.part),
    apiServer: processorSecondsOf(world.apiServerPart),
  });
  for (let turn = 0; turn < TURNS; turn++) {
    const from = Math.floor((models.length * turn) / TURNS);
    const count = Math.floor((models.length * (turn + 1)) / TURNS) - from;
    loads.reads.push(await runLoad(count, clients, at => readBare(reader, nth(models, at)), from));
    loads.applies.push(await runLoad(count, clients, at => apply(apiServer, nth(models, at)), from));
    loads.inTurn.push(await runLoad(count, clients, readAndApply, from));
    const before = times();
    const deliverNext = (at: number): Promise<void> => deliver(endpoint, nth(models, at), action);
    loads.deliveries.push(await runLoad(count, clients, deliverNext, from));
    await module.idle();
    const after = times();
    for (const part of ["module", "mlflow", "apiServer"] as const) processor[part] += after[part] - before[part];
  }
  endpoint.close();
  await checkApplied(world, namespace, models, cpuRequest);
  const [reads, applies] = [summarize(...loads.reads), summarize(...loads.applies)];
  return {
    ...{ kind, clients, reads, applies, inTurn: summarize(...loads.inTurn) },
    limit: harmonicSum(reads.perSecond, applies.perSecond),
    deliveries: summarize(...loads.deliveries),
    processor,
    memory: peakMemory(module.pid),
  };
}

/** @throws Error when it is not answered as it should be */
async function deliver(endpoint: BareClient, model: string, action?: string): Promise<void> {
  const delivery = signedDelivery({ model, version: "1" }, SECRET);
  const { status, text } = await endpoint.send({ method: "POST", path: "/webhook", ...delivery });
  const done = status === 200 ? (JSON.parse(text) as { readonly action?: string }).action : undefined;
  if (done === undefined || (action !== undefined && done !== action))
    throw new Error(`A delivery about ${model} was answered ${status}: ${text}`);
}

/** What was answered 200 must be in the cluster, as it was to be. */
async function checkApplied(
  { kubeconfig, problem }: World,
  namespace: string,
  models: readonly string[],
  cpuRequest: string,
): Promise<void> {
  const services = createInferenceServices(connectToApiServer(30_000, kubeConfigFrom(kubeconfig)), namespace);
  const specs = new Map((await listManaged(services)).map(({ metadata, spec }) => [metadata.name, spec]));
  const wrong = models.filter(model => {
    const spec = specs.get(inferenceServiceName({ model, version: "1" }, namespace));
    return !JSON.stringify(spec ?? {}).includes(`"cpu":"${cpuRequest}"`);
  });
  if (wrong.length > 0)
    problem(`${wrong.length} deliveries were answered 200 and not applied, for example that of ${wrong[0] ?? ""}`);
}

function most(numbers: readonly number[]): number {
  return Math.max(...numbers);
}

function nth(models: readonly string[], index: number): string {
  const model = models[index];
  if (model === undefined) throw new Error(`There is no model number ${index}`);
  return model;
}
