import { readFileSync } from "node:fs";
import { residentMemory } from "../../load/process-sample";
import { waitFor } from "../../support/waiting";
import { startModuleUnderTest } from "../module-under-test";
import { peakMemory } from "../processes";
import type { PollResults } from "../results";
import { modelNames, startFilledMlflow } from "../world";
import type { World } from "../world";

/** The shortest that the module takes, in seconds. */
const POLLING_INTERVAL = "10";

interface PollLine {
  readonly msg?: string;
  readonly managed?: number;
  readonly cause?: string;
}

/** Memory of a watcher, with Pepr's runtime, that deployed so many services and goes on polling and watching them. */
export async function measureMemory(world: World, services: number): Promise<NonNullable<PollResults["memory"]>> {
  const mlflow = await startFilledMlflow(world, { models: modelNames("managed", services) });
  const watcher = await startModuleUnderTest({
    ...world,
    name: "watcher",
    role: "watcher",
    settings: {
      MLFLOW_TRACKING_URI: mlflow.trackingUri,
      KUBE_NAMESPACE: await world.createNamespace("managed"),
      DISABLE_WEBHOOKS: "true",
      POLLING_INTERVAL,
      LOG_LEVEL: "DEBUG",
    },
  });
  try {
    const isIdle = ({ msg, managed }: PollLine): boolean =>
      msg === "Poll finished, nothing was changed" && managed === services;
    await waitFor(
      `${services} services in the watcher's log ${watcher.logFile}`,
      () => linesOf(watcher.logFile).filter(isIdle).length >= world.sizes.idlePolls || undefined,
      600_000,
    );
    return { services, resident: residentMemory(watcher.pid), peak: peakMemory(watcher.pid) };
  } finally {
    await watcher.stop();
    await mlflow.part.stop();
  }
}

function linesOf(logFile: string): PollLine[] {
  return readFileSync(logFile, "utf8")
    .split("\n")
    .filter(line => line.includes("Poll finished"))
    .map(line => JSON.parse(line) as PollLine);
}
