import { copyFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { cached, cacheKey, contentsOf, isCached } from "./cache";
import type { ControlPlane } from "./control-plane";
import { moduleDirectory, sourceDirectory } from "./go-binaries";
import type { NodeSettings } from "./node/main";
import { freePort } from "./ports";
import { answersOk } from "./probe";
import type { Run } from "./run";

const ENTRY_POINT = "initializer-entrypoint.py";
const CACHE_NAME = "storage-initializer";

function initializerKey(): string {
  return cacheKey(...contentsOf(join(moduleDirectory("kserve"), "go.mod")));
}

/** Whether the entry point of KServe's storage initializer does not have to be taken from KServe's source. */
export function storageInitializerIsThere(): boolean {
  return isCached(CACHE_NAME, initializerKey());
}

/** The script that is the entry point of KServe's image storage-initializer: from KServe's source, of the same release. */
export async function storageInitializer(progress: (message: string) => void): Promise<string> {
  const copy = async (directory: string): Promise<void> => {
    const source = await sourceDirectory("kserve", "github.com/kserve/kserve");
    const script = join(source, "python", "storage-initializer", "scripts", "initializer-entrypoint");
    copyFileSync(script, join(directory, ENTRY_POINT));
  };
  return join(await cached(CACHE_NAME, initializerKey(), copy, progress), ENTRY_POINT);
}

/** The folder for the logs of the containers that run for real. */
export function podLogsOf(run: Pick<Run, "logDirectory">): string {
  return join(run.logDirectory, "pods");
}

/**
 * Starts the node that runs predictors as processes, with the ingress to them.
 * @param python the interpreter of the environment that has MLServer and KServe's storage library
 * @returns base URL of the ingress
 */
export async function startPredictorNode(
  run: Run,
  { kubeconfig }: Pick<ControlPlane, "kubeconfig">,
  python: string,
  initializer: string,
): Promise<string> {
  const ingressPort = await freePort();
  const ingress = `http://127.0.0.1:${ingressPort}`;
  const settings: NodeSettings = {
    kubeconfig,
    ingressPort,
    installed: { pythonPrograms: dirname(python), storageInitializer: initializer },
    directory: join(run.directory, "pods"),
    logDirectory: podLogsOf(run),
  };
  await run.start({
    name: "predictor-node",
    command: process.execPath,
    arguments: ["--import", "tsx", join(__dirname, "node", "main.ts"), JSON.stringify(settings)],
    directory: join(__dirname, "..", ".."),
    isReady: () => answersOk(ingress),
    readyWithinSeconds: 120,
  });
  return ingress;
}
