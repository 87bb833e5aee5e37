import path from "node:path";
import { readFileSync } from "node:fs";
import type { V1Container } from "@kubernetes/client-node";
import { dump, load, loadAll } from "js-yaml";
import { beforeAll, describe, expect, inject, it, onTestFinished } from "vitest";
import { parseQuantity } from "../../capabilities/configuration/quantity";
import packageJson from "../../package.json";
import { CHART, completeChart } from "../../scripts/chart/complete-chart";
import { run } from "../testbed/commands";
import { builtModule } from "./built-module";
import { createKustomizeWorkspace } from "./kustomize-workspace";
import type { KustomizeWorkspace } from "./kustomize-workspace";

const MEBIBYTE = 2 ** 20;

/**
 * MiB that a container needs beside the heap of the module's process: 75 of that process itself, and 60 of Pepr's controller,
 * which unpacks the module and stays beside it.
 */
const BESIDE_THE_HEAP = 140;

interface Workload {
  readonly kind?: string;
  readonly spec?: { readonly template?: { readonly spec?: { readonly containers?: readonly V1Container[] } } };
}

/** Memory of each container, in MiB, by its name. */
function memoryOf(manifests: string): Record<string, { heap: number; limit: number }> {
  const containers = (loadAll(manifests) as (Workload | null)[])
    .filter(object => object?.kind === "Deployment")
    .flatMap(object => object?.spec?.template?.spec?.containers ?? []);
  return Object.fromEntries(
    containers.map(({ name, env, resources }) => {
      const options = env?.find(variable => variable.name === "NODE_OPTIONS")?.value ?? "";
      const heap = Number(/--max-old-space-size=(\d+)/.exec(options)?.[1]);
      return [name, { heap, limit: (parseQuantity(String(resources?.limits?.memory)) ?? NaN) / MEBIBYTE }];
    }),
  );
}

async function kustomized(overlay: (workspace: KustomizeWorkspace) => string): Promise<string> {
  const workspace = await createKustomizeWorkspace();
  onTestFinished(workspace.remove);
  return (await run(inject("kubectl"), ["kustomize", overlay(workspace)])).stdout;
}

/** The containers as the chart's values say: its templates take both from there as they are. */
async function fromChart(): Promise<string> {
  const { directory, remove } = await createKustomizeWorkspace();
  onTestFinished(remove);
  completeChart(path.join(directory, "dist"));
  const values = load(readFileSync(path.join(directory, "dist", CHART, "values.yaml"), "utf8")) as Record<
    "admission" | "watcher",
    Pick<V1Container, "env" | "resources">
  >;
  const containers = [
    { name: "server", ...values.admission },
    { name: "watcher", ...values.watcher },
  ];
  return dump({ kind: "Deployment", spec: { template: { spec: { containers } } } });
}

describe("V8 collects its garbage before the kubelet ends a container for its memory", () => {
  let dist: string;
  beforeAll(async () => {
    dist = await builtModule();
  }, 600_000);

  it.each<[string, () => string | Promise<string>]>([
    ["npx pepr deploy", () => readFileSync(path.join(dist, `pepr-module-${packageJson.pepr.uuid}.yaml`), "utf8")],
    [
      "kustomize, the default overlay",
      () => kustomized(({ directory }) => path.join(directory, "k8s/overlays/default")),
    ],
    ["kustomize, with an image of one's own", () => kustomized(workspace => workspace.mixing(["own-image"]))],
    ["Helm", fromChart],
  ])(
    "%s",
    async (_, manifests) => {
      const memory = memoryOf(await manifests());
      expect(Object.keys(memory).sort()).toEqual(["server", "watcher"]);
      for (const { heap, limit } of Object.values(memory)) expect(heap + BESIDE_THE_HEAP).toBeLessThanOrEqual(limit);
    },
    120_000,
  );
});
