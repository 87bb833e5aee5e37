import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { isCached } from "./cache";
import { run as runCommand } from "./commands";
import { goBinaries, goBuildKey, sourceDirectory } from "./go-binaries";
import type { ControlPlane } from "./control-plane";
import type { Run } from "./run";

const BUILD = { module: "kwok" as const, programs: [{ packagePath: "sigs.k8s.io/kwok/cmd/kwok", binary: "kwok" }] };
const STAGES = "stages.yaml";

/** Whether kwok does not have to be compiled. */
export function kwokIsBuilt(): boolean {
  return isCached(BUILD.module, goBuildKey(BUILD));
}

/**
 * Builds kwok, or finds it in the cache, with its stages: the rules by which nodes and pods become Ready at once.
 * @param kubectl path of a kubectl, to put the stages together with
 */
export function kwokDirectory(kubectl: string, progress: (message: string) => void): Promise<string> {
  const finish = async (directory: string): Promise<void> => {
    const source = await sourceDirectory("kwok", "sigs.k8s.io/kwok");
    const { stdout } = await runCommand(kubectl, ["kustomize", join(source, "kustomize", "stage", "fast")]);
    writeFileSync(join(directory, STAGES), stdout);
  };
  return goBinaries({ ...BUILD, finish }, progress);
}

/** Starts kwok with one Node, large enough for thousands of pods; returns when the Node is Ready. */
export async function startKwok(
  run: Run,
  directory: string,
  { api, kubeconfig }: Pick<ControlPlane, "api" | "kubeconfig">,
): Promise<void> {
  await api.create(NODE);
  await run.start({
    name: "kwok",
    command: join(directory, "kwok"),
    arguments: [
      `--kubeconfig=${kubeconfig}`,
      `--config=${join(directory, STAGES)}`,
      // Not the node that runs predictors.
      `--manage-single-node=${NODE.metadata.name}`,
      "--node-lease-duration-seconds=40",
      "--cidr=10.0.0.1/16", // an address for each of thousands of pods
    ],
    environment: { HOME: run.directory }, // it keeps files in its user's home
    directory: run.directory,
    isReady: async () => {
      const { status } = (await api.get(`/api/v1/nodes/${NODE.metadata.name}`)) as NodeStatus;
      return status?.conditions?.some(condition => condition.type === "Ready" && condition.status === "True") ?? false;
    },
    readyWithinSeconds: 60,
  });
}

interface NodeStatus {
  status?: { conditions?: { type: string; status: string }[] };
}

const RESOURCES = { cpu: "10000", memory: "100Ti", pods: "10000" };

const NODE = {
  apiVersion: "v1",
  kind: "Node",
  metadata: {
    name: "testbed-node",
    labels: { "kubernetes.io/hostname": "testbed-node", "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64" },
  },
  status: { allocatable: RESOURCES, capacity: RESOURCES },
};
