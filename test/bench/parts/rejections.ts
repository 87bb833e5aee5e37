import { setTimeout as sleep } from "node:timers/promises";
import { keptConnections } from "../bare-client";
import { runLoad, summarize } from "../load";
import type { Load, LoadSummary } from "../load";
import { SECRET, startModuleUnderTest } from "../module-under-test";
import type { ModuleUnderTest } from "../module-under-test";
import { processorSeconds } from "../processes";
import { bytesOf, openRawConnection } from "../raw-connection";
import type { RawConnection } from "../raw-connection";
import type { RejectionResults } from "../results";
import { signed, signedDelivery } from "../signed-delivery";
import { modelNames, startFilledMlflow } from "../world";
import type { World } from "../world";

/** Connections over which rejections come. */
const CONNECTIONS = 32;

/** Milliseconds between two handfuls of a steady stream. */
const BEAT = 10;

/** Accepted deliveries alone and beside rejections are measured in turns, so often. */
const TURNS = 4;

interface Rejected {
  readonly kind: string;
  readonly request: Buffer;
  readonly status: number;
}

/** What is not MLflow's, or too old, or no event: how fast it is turned away, and what it does to those who are let in. */
export async function measureRejections(world: World): Promise<RejectionResults> {
  const models = modelNames("accepted", Math.ceil(world.sizes.deliveries / 4));
  const mlflow = await startFilledMlflow(world, { models });
  const module = await startModuleUnderTest({
    ...world,
    name: "rejections",
    role: "endpoint",
    settings: {
      MLFLOW_TRACKING_URI: mlflow.trackingUri,
      KUBE_NAMESPACE: await world.createNamespace("accepted"),
    },
  });
  const connections = Array.from({ length: CONNECTIONS }, () => openRawConnection(module.url));
  try {
    const kinds: RejectionResults["kinds"][number][] = [];
    for (const rejected of rejectedRequests()) kinds.push(await measureKind(world, module, connections, rejected));
    const beside = await measureBeside(world, module, connections, models);
    return { kinds, beside };
  } finally {
    for (const connection of connections) connection.close();
    await module.stop();
    await mlflow.part.stop();
  }
}

function rejectedRequests(): [Rejected, ...Rejected[]] {
  const key = { model: "accepted-0", version: "1" };
  return [
    { kind: "wrong signature", status: 401, request: bytesOf(signedDelivery(key, "another secret")) },
    { kind: "too old", status: 401, request: bytesOf(signedDelivery(key, SECRET, 3600)) },
    { kind: "malformed", status: 400, request: bytesOf(signed('{"entity":"model_version_tag"', SECRET)) },
  ];
}

async function measureKind(
  { sizes }: World,
  module: ModuleUnderTest,
  connections: readonly RawConnection[],
  { kind, request, status }: Rejected,
): Promise<RejectionResults["kinds"][number]> {
  const free = [...connections];
  const send = async (): Promise<void> => {
    const connection = free.pop();
    if (connection === undefined) throw new Error("There are more clients than connections");
    expectStatus(kind, await connection.send(request), status);
    free.push(connection);
  };
  await runLoad(Math.ceil(sizes.rejections / 10), connections.length, send);
  const before = processorSeconds(module.pid);
  const load = await runLoad(sizes.rejections, connections.length, send);
  const used = processorSeconds(module.pid) - before;
  return { kind, load: summarize(load), perProcessorSecond: sizes.rejections / used };
}

/** Deliveries one after the other, alone and beside a steady stream of rejections. */
async function measureBeside(
  { sizes }: World,
  module: ModuleUnderTest,
  connections: readonly RawConnection[],
  models: readonly string[],
): Promise<RejectionResults["beside"]> {
  const endpoint = keptConnections(module.url);
  const deliver = async (at: number): Promise<void> => {
    const delivery = signedDelivery({ model: models[at] ?? "", version: "1" }, SECRET);
    const { status } = await endpoint.send({ method: "POST", path: "/webhook", ...delivery });
    expectStatus("A delivery", status, 200);
  };
  const loads: Record<"alone" | "together", Load[]> = { alone: [], together: [] };
  let [rejected, rejecting] = [0, 0];
  await runLoad(models.length, 1, deliver);
  for (let turn = 0; turn < TURNS; turn++) {
    loads.alone.push(await runLoad(models.length, 1, deliver));
    await module.idle();
    const stream = startStream(connections, sizes.rejectionRate);
    const load = await runLoad(models.length, 1, deliver);
    rejected += await stream.stop();
    rejecting += load.seconds;
    loads.together.push(load);
    await module.idle();
  }
  endpoint.close();
  const [alone, together]: LoadSummary[] = [summarize(...loads.alone), summarize(...loads.together)];
  if (alone === undefined || together === undefined) throw new Error("Nothing was measured");
  return { rejectionsPerSecond: rejected / rejecting, alone, together };
}

interface Stream {
  /** @returns how many were rejected while it flowed */
  readonly stop: () => Promise<number>;
}

/** Rejections at a steady rate, as far as the module answers as fast; what it does not is left out, not saved up. */
function startStream(connections: readonly RawConnection[], perSecond: number): Stream {
  const [{ request, status }] = rejectedRequests();
  const free = [...connections];
  const underWay = new Set<Promise<void>>();
  let flowing = true;
  let rejected = 0;
  const send = async (connection: RawConnection): Promise<void> => {
    expectStatus("A rejection", await connection.send(request), status);
    free.push(connection);
    if (flowing) rejected++;
  };
  const flow = async (): Promise<void> => {
    let [sent, start] = [0, performance.now()];
    while (flowing) {
      await sleep(BEAT);
      const due = ((performance.now() - start) / 1000) * perSecond;
      for (; sent < due; sent++) {
        const connection = free.pop();
        if (connection === undefined) {
          [sent, start] = [0, performance.now()];
          break;
        }
        const sending = send(connection).finally(() => underWay.delete(sending));
        underWay.add(sending);
      }
    }
    await Promise.all(underWay);
  };
  const flowed = flow();
  return {
    async stop() {
      flowing = false;
      await flowed;
      return rejected;
    },
  };
}

function expectStatus(what: string, status: number, expected: number): void {
  if (status !== expected) throw new Error(`${what} was answered ${status}, not ${expected}`);
}
