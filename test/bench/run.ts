import { loadavg, cpus, totalmem } from "node:os";
import { messageOf } from "../../capabilities/observability/logging";
import { installPeprStore } from "../support/pepr-store";
import type { PartOfBench } from "./options";
import { measureBurst } from "./parts/burst";
import { measureDeliveries } from "./parts/deliveries";
import { measureHttpClients } from "./parts/http-clients";
import { measurePolls } from "./parts/poll";
import { measureRejections } from "./parts/rejections";
import { measureStart } from "./parts/start";
import { measureStatusTags } from "./parts/status-tags";
import type { BenchResults, Machine } from "./results";
import type { World } from "./world";

const BYTES_IN_GIBIBYTE = 1024 ** 3;

type Measured = Omit<BenchResults, "made" | "command" | "machine" | "problems">;

/**
 * Measures the parts, one after the other.
 *
 * @param mlflowTrackingUri an MLflow that answers, for a start; it is not needed any more when `stopMlflow` is called
 */
export async function runBench(
  world: World,
  parts: readonly PartOfBench[],
  mlflowTrackingUri: string,
  stopMlflow: () => Promise<void> | undefined = () => undefined,
): Promise<Measured> {
  await installPeprStore(world.kubectl, world.kubeconfig);
  const measure: Readonly<Record<PartOfBench, () => Promise<Measured>>> = {
    start: async () => ({ start: await measureStart(world, mlflowTrackingUri) }),
    deliveries: async () => ({ deliveries: await measureDeliveries(world) }),
    rejections: async () => ({ rejections: await measureRejections(world) }),
    "http-clients": async () => ({ httpClients: await measureHttpClients(world) }),
    poll: async () => ({ poll: await measurePolls(world) }),
    burst: async () => ({ burst: await measureBurst(world) }),
    "status-tags": async () => ({ statusTags: await measureStatusTags(world) }),
  };
  let results: Measured = {};
  for (const part of parts) {
    if (part !== "start") await stopMlflow();
    const start = performance.now();
    try {
      results = { ...results, ...(await measure[part]()) };
      world.say(`${part}: measured in ${((performance.now() - start) / 1000).toFixed(0)} s`);
    } catch (error) {
      // What was measured before and what comes after is not lost with it.
      world.problem(`${part}: ${messageOf(error)}`);
    }
  }
  return results;
}

/** To be called before anything is started. */
export function describeMachine(kserve: Machine["kserve"]): Machine {
  const [processor] = cpus();
  return {
    processors: cpus().length,
    processor: processor?.model ?? "unknown",
    memory: Math.round(totalmem() / BYTES_IN_GIBIBYTE),
    node: process.version,
    loadBefore: Math.round((loadavg()[0] ?? 0) * 100) / 100,
    kserve,
  };
}
