import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { dump } from "js-yaml";
import type { Manifest } from "./manifests";

const HEADER = "# Written by `npm run render`: change the overlay, and render it again.\n";
const LIST = "kustomization.yaml";

/**
 * Writes each object to a file of its own, and a kustomization that lists them, so that a change in Git shows what changes.
 *
 * @param directory a new folder, or one that this wrote before: what is not rendered any more goes from it
 * @throws Error when there is something else in the folder, or two objects would get one file
 */
export function writeManifests(directory: string, manifests: readonly Manifest[]): void {
  const files = new Map<string, string>();
  for (const manifest of manifests) {
    const name = `${manifest.kind}-${manifest.metadata.name}.yaml`.toLowerCase().replaceAll(":", "-");
    if (files.has(name)) throw new Error(`Two objects would get the file ${name}`);
    files.set(name, dump(manifest, { sortKeys: true, lineWidth: -1, noRefs: true }));
  }
  const resources = [...files.keys()].sort();
  const kustomization = { apiVersion: "kustomize.config.k8s.io/v1beta1", kind: "Kustomization", resources };
  files.set(LIST, HEADER + dump(kustomization));
  clear(directory);
  mkdirSync(directory, { recursive: true });
  for (const [name, content] of files) writeFileSync(path.join(directory, name), content);
}

function clear(directory: string): void {
  if (!existsSync(directory)) return;
  const there = readdirSync(directory);
  if (there.length === 0) return;
  const list = path.join(directory, LIST);
  if (!existsSync(list) || !readFileSync(list, "utf8").startsWith(HEADER)) {
    throw new Error(`${directory} has files that were not rendered: name a new folder, or empty it`);
  }
  for (const name of there.filter(file => file.endsWith(".yaml"))) rmSync(path.join(directory, name));
}
