import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { loadAll } from "js-yaml";
import packageJson from "../../package.json";
import { cached, cacheKey, contentsOf } from "../testbed/cache";
import { run } from "../testbed/commands";
import { cleanEnvironment } from "../testbed/processes";

/** As much of any Kubernetes object as is needed to put it into a cluster. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly [field: string]: unknown;
}

const MANIFESTS = `pepr-module-${packageJson.pepr.uuid}.yaml`;
const BUNDLED = ["pepr.ts", "capabilities", "templates", "package.json", "tsconfig.json"];

/**
 * The objects that `pepr build` generates for the module as it is in this working tree, dist/ or not. Built once (some
 * 15 s) and kept in the cache until a file that goes into it changes.
 */
export async function generatedManifests(): Promise<KubernetesObject[]> {
  const sources = BUNDLED.flatMap(filesIn).filter(isBundled).sort();
  const key = cacheKey(...sources, ...contentsOf("package-lock.json", ...sources));
  const directory = await cached("pepr-manifests", key, build, () => undefined);
  return readManifests(readFileSync(path.join(directory, MANIFESTS), "utf8"));
}

/** The objects in a text with YAML documents. */
export function readManifests(yaml: string): KubernetesObject[] {
  return loadAll(yaml) as KubernetesObject[];
}

/** In a copy without tests: `pepr build` type-checks and lints all that it finds, which `npm run check` does already. */
async function build(output: string): Promise<void> {
  const copy = mkdtempSync(path.join(tmpdir(), "mlflow-kserve-build-"));
  try {
    for (const name of BUNDLED) cpSync(name, path.join(copy, name), { recursive: true, filter: isBundled });
    symlinkSync(path.resolve("node_modules"), path.join(copy, "node_modules"));
    writeFileSync(path.join(copy, "eslint.config.mjs"), 'export default [{ ignores: ["**/*"] }];\n');
    const generated = path.join(copy, "generated");
    mkdirSync(generated);
    const cli = path.resolve("node_modules/pepr/dist/cli.js");
    const { stdout } = await run(process.execPath, [cli, "build", "--output", generated], {
      directory: copy,
      environment: cleanEnvironment(),
    });
    // Pepr ends with code 0 after some failures.
    if (!existsSync(path.join(generated, MANIFESTS))) throw new Error(`pepr build made no ${MANIFESTS}:\n${stdout}`);
    cpSync(path.join(generated, MANIFESTS), path.join(output, MANIFESTS));
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

/** The file itself, or all files below a folder. */
function filesIn(name: string): string[] {
  if (!statSync(name).isDirectory()) return [name];
  return readdirSync(name, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => path.join(entry.parentPath, entry.name));
}

function isBundled(file: string): boolean {
  return !file.endsWith(".test.ts");
}
