// `npm run render -- <overlay> [--output DIR] [--ca-file FILE]`: an overlay of k8s/ as a folder for a Git repository, from
// which Argo CD or Flux install. See k8s/README.md.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { loadAll } from "js-yaml";
import { writeManifests } from "./gitops/folder";
import { gitOpsManifests } from "./gitops/manifests";
import type { Manifest } from "./gitops/manifests";

const USAGE = "npm run render -- <overlay, for example k8s/overlays/default> [--output DIR] [--ca-file FILE]";

/** What kubectl, or kustomize where there is no kubectl, makes of an overlay. @throws Error with what it said */
function kustomize(overlay: string): Manifest[] {
  const commands = [
    ["kubectl", "kustomize", overlay],
    ["kustomize", "build", overlay],
  ] as const;
  for (const [program, ...args] of commands) {
    const { error, status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8", maxBuffer: 2 ** 26 });
    if (error !== undefined) continue;
    if (status !== 0) throw new Error(stderr.trim());
    return loadAll(stdout) as Manifest[];
  }
  throw new Error("Neither kubectl nor kustomize is on the PATH: install kubectl");
}

function render(args: readonly string[]): string {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { output: { type: "string", default: "dist/rendered" }, "ca-file": { type: "string" } },
  });
  const [overlay, ...others] = positionals;
  if (overlay === undefined || others.length > 0) throw new Error(`Usage: ${USAGE}`);
  if (!existsSync("dist/kustomization.yaml")) throw new Error("There is no build: npm run build");
  const authority = values["ca-file"];
  const ca = authority === undefined ? undefined : readFileSync(authority, "utf8");
  if (ca !== undefined && !ca.startsWith("-----BEGIN CERTIFICATE-----"))
    throw new Error(`${authority ?? ""} is no certificate`);
  const manifests = gitOpsManifests(kustomize(overlay), ca);
  writeManifests(values.output, manifests);
  return `${manifests.length} objects in ${path.normalize(values.output)}`;
}

try {
  console.log(render(process.argv.slice(2)));
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
