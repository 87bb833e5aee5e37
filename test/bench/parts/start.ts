import { spawn } from "node:child_process";
import { once } from "node:events";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import peprPackage from "pepr/package.json";
import { startModuleUnderTest } from "../module-under-test";
import type { ModuleOptions } from "../module-under-test";
import type { StartResults } from "../results";
import type { World } from "../world";

/** How long it takes from the start of a process until it is ready, and how large the module is. */
export async function measureStart(world: World, mlflowTrackingUri: string): Promise<StartResults> {
  const settings = { MLFLOW_TRACKING_URI: mlflowTrackingUri, KUBE_NAMESPACE: await world.createNamespace("started") };
  const results = { endpoint: [] as number[], watcher: [] as number[], node: [] as number[] };
  const start = async (role: ModuleOptions["role"]): Promise<number> => {
    const module = await startModuleUnderTest({ ...world, name: `start-${role}`, role, settings });
    await module.stop();
    return module.readyAfter;
  };
  // The first of each kind reads the files that the others find in the kernel's memory, as after a pull of the image.
  for (const role of ["endpoint", "watcher"] as const) await start(role);
  for (let count = 0; count < world.sizes.starts; count++) {
    results.endpoint.push(await start("endpoint"));
    results.watcher.push(await start("watcher"));
    results.node.push(await startNode());
  }
  return { ...results, bundle: await bundleSize() };
}

async function startNode(): Promise<number> {
  const start = performance.now();
  const child = spawn(process.execPath, ["--eval", "process.exit()"], { stdio: "ignore" });
  await once(child, "exit");
  return performance.now() - start;
}

/**
 * Bytes of the module's bundle, gzipped: bundled with the settings of `pepr build`, which beside that checks types and
 * style for a minute.
 */
async function bundleSize(): Promise<number> {
  const { outputFiles } = await build({
    entryPoints: ["pepr.ts"],
    bundle: true,
    external: [...Object.keys(peprPackage.dependencies), "pepr", "@kubernetes/client-node"],
    format: "cjs",
    keepNames: true,
    legalComments: "external",
    loader: { ".txt": "text" },
    minify: true,
    outdir: "bundle",
    platform: "node",
    treeShaking: true,
    write: false,
  });
  const bundle = outputFiles.find(({ path }) => path.endsWith(".js"));
  if (bundle === undefined) throw new Error("esbuild made no bundle");
  return gzipSync(bundle.contents, { level: 9 }).length;
}
