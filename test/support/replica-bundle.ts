import { mkdirSync } from "node:fs";
import path from "node:path";
import { build } from "esbuild";

/** Below node_modules, so that what stays outside the bundle is found there, as in the controller's image. */
const DIRECTORY = path.resolve("node_modules/.cache/mlflow-kserve");

/**
 * Bundles an entry file for Node the way `pepr build` bundles the module: one CommonJS file with templates as text, and
 * Pepr's own dependencies left outside.
 *
 * @returns the bundle's path
 */
export async function bundleForNode(entry: string): Promise<string> {
  mkdirSync(DIRECTORY, { recursive: true });
  const outfile = path.join(DIRECTORY, `${path.basename(entry, ".ts")}-${process.pid}.js`);
  await build({
    entryPoints: [entry],
    bundle: true,
    platform: "node",
    target: "node20",
    format: "cjs",
    packages: "external",
    loader: { ".txt": "text" },
    outfile,
    logLevel: "error",
  });
  return outfile;
}
