import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { loadAll } from "js-yaml";
import { afterAll, inject } from "vitest";
import { customResourcesEstablished } from "../support/custom-resources";
import { moduleDirectory } from "../support/go-module-files";
import { run } from "../testbed/commands";
import { cleanEnvironment } from "../testbed/processes";
import { contentsOf, settled } from "./live-contents";

/** The folder with the examples, from the root of the repository. */
export const EXAMPLES = path.join("k8s", "examples");

/** An object of a rendered example. */
export interface Rendered {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name?: string; readonly namespace?: string };
  readonly [field: string]: unknown;
}

/** A copy of the examples in a folder of its own, worked on as README.md says: from the root of a repository. */
export interface ExampleCopy {
  readonly root: string;
  /** Runs kubectl there; a warning of the API server, such as one about a deprecated API, is an error. */
  readonly kubectl: (args: readonly string[], input?: string) => Promise<string>;
  /** Runs lines of a README in bash, as a person would; the first command that fails ends them. */
  readonly shell: (script: string) => Promise<string>;
}

const temporary: string[] = [];

afterAll(() => {
  for (const directory of temporary.splice(0)) rmSync(directory, { recursive: true, force: true });
});

/**
 * Copies the examples, so that a test can do with them what a user does.
 * @param replacements texts to replace everywhere in them: for namespaces that other tests use as well
 */
export function copyExamples(replacements: Readonly<Record<string, string>> = {}): ExampleCopy {
  const root = mkdtempSync(path.join(tmpdir(), "examples-"));
  temporary.push(root);
  cpSync(EXAMPLES, path.join(root, EXAMPLES), { recursive: true });
  for (const file of filesBelow(path.join(root, EXAMPLES))) {
    const text = readFileSync(file, "utf8");
    const replaced = Object.entries(replacements).reduce((result, [from, to]) => result.replaceAll(from, to), text);
    if (replaced !== text) writeFileSync(file, replaced);
  }
  const programs = path.join(root, "programs");
  mkdirSync(programs);
  // With the PATH of before: it may be that kubectl is found by its name alone, and that would be the wrapper itself.
  const before = process.env.PATH ?? "";
  const call = `'${inject("kubectl")}' --kubeconfig='${inject("kubeconfig")}' --warnings-as-errors "$@"`;
  const wrapper = `#!/bin/sh\nPATH='${before}'; export PATH\nexec ${call}\n`;
  writeFileSync(path.join(programs, "kubectl"), wrapper, { mode: 0o755 });
  const environment = {
    ...cleanEnvironment(),
    KUBECACHEDIR: path.join(root, "cache"),
    PATH: `${programs}:${before}`,
  };
  return {
    root,
    kubectl: async (args, input) => {
      const options = { directory: root, environment, ...(input === undefined ? {} : { input }) };
      return (await run(path.join(programs, "kubectl"), args, options)).stdout;
    },
    shell: async script => {
      const options = { directory: root, environment };
      return (await run("bash", ["-euo", "pipefail", "-c", script], options)).stdout;
    },
  };
}

/** Every folder of the examples that has a kustomization, from the root of the repository. */
export function exampleFolders(): string[] {
  return filesBelow(EXAMPLES)
    .filter(file => path.basename(file) === "kustomization.yaml")
    .map(file => path.dirname(file))
    .sort();
}

/** What `kubectl kustomize` makes of a folder. @throws when it makes nothing of it */
export async function renderFolder(folder: string): Promise<Rendered[]> {
  const { stdout } = await run(inject("kubectl"), ["kustomize", folder]);
  return loadAll(stdout) as Rendered[];
}

/** All files below a folder. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder)
    .map(name => path.join(folder, name))
    .flatMap(entry => (statSync(entry).isDirectory() ? filesBelow(entry) : [entry]));
}

/** The settings of a file in the form that kustomize's configMapGenerator and `docker run --env-file` read. */
export function settingsOf(file: string): Record<string, string> {
  const lines = readFileSync(file, "utf8").split("\n");
  const pairs = lines.filter(line => line.trim() !== "" && !line.startsWith("#")).map(line => line.split("="));
  return Object.fromEntries(pairs.map(([name = "", ...value]) => [name, value.join("=")]));
}

/**
 * The commands of an example's README, block by block.
 * @returns those that need no more than a cluster: a block whose first line is `# Needs …` is for a person to run
 */
export function readmeCommands(readme: string): string[] {
  const blocks = [...readFileSync(readme, "utf8").matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, block = ""]) => block);
  return blocks.filter(block => !block.startsWith("# Needs "));
}

const CUSTOM_RESOURCES = {
  argo: ["github.com/argoproj/argo-workflows/v3", "v3.7.3", "manifests/base/crds/full"],
  gateway: ["sigs.k8s.io/gateway-api", "v1.4.0", "config/crd/standard"],
  prometheus: ["github.com/prometheus-operator/prometheus-operator", "v0.85.0", "example/prometheus-operator-crd"],
} as const;

/**
 * Installs the CRDs of a project, as it publishes them, and waits until the API serves them.
 * @param names which of its CRDs, as their files are named; the others stay out, for time
 */
export async function installCustomResources(
  { kubectl }: ExampleCopy,
  project: keyof typeof CUSTOM_RESOURCES,
  names: readonly string[],
): Promise<void> {
  const [module, version, folder] = CUSTOM_RESOURCES[project];
  const directory = path.join(await moduleDirectory(module, version), folder);
  const files = names.flatMap(name => ["-f", path.join(directory, `${name}.yaml`)]);
  // Server-side, because some are too long for the annotation of the other kind; forced, as another test may own them.
  await kubectl(["apply", "--server-side", "--force-conflicts", ...files]);
  await customResourcesEstablished(kubectl, files);
}

/**
 * Applies a folder as a user does: first only asks the API server (its namespaces must be there for that), then for good,
 * then once more.
 * @returns the objects that the second time changed
 */
export async function applyTwice({ kubectl }: ExampleCopy, folder: string): Promise<string[]> {
  const rendered = loadAll(await kubectl(["kustomize", folder])) as Rendered[];
  const namespaces = rendered.filter(({ kind }) => kind === "Namespace");
  if (namespaces.length > 0) {
    await kubectl(["apply", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items: namespaces }));
  }
  await kubectl(["apply", "--dry-run=server", "-k", folder]);
  await kubectl(["apply", "-k", folder]);
  const live = async (): Promise<Record<string, unknown>> =>
    contentsOf(await kubectl(["get", "-k", folder, "-o", "json"]));
  const before = await settled(live);
  await kubectl(["apply", "-k", folder]);
  const after = await live();
  return Object.keys(after).filter(name => JSON.stringify(after[name]) !== JSON.stringify(before[name]));
}

/** Deletes namespaces with all that is in them, and waits until they are gone. */
export async function removeNamespaces({ kubectl }: ExampleCopy, ...names: readonly string[]): Promise<void> {
  await kubectl(["delete", "namespace", "--ignore-not-found", "--timeout=120s", ...names]);
}
