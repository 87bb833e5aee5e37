import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { dump } from "js-yaml";
import { writeKustomization } from "../../scripts/generated-kustomization";
import { removeAtEnd } from "../testbed/watchdog";
import { builtModule } from "./built-module";

/** A copy of k8s/ beside a dist/ as `npm run build` leaves it. */
export interface KustomizeWorkspace {
  /** The folder that has k8s/ and dist/. */
  readonly directory: string;
  /**
   * Makes an overlay that mixes components, in their order, into the default one.
   *
   * @param resources further folders below k8s/
   * @returns its path
   */
  readonly mixing: (components: readonly string[], resources?: readonly string[]) => string;
  readonly remove: () => void;
}

/** @param build which of two builds of the same is in dist/ */
export async function createKustomizeWorkspace(build: "first" | "second" = "first"): Promise<KustomizeWorkspace> {
  const directory = mkdtempSync(path.join(tmpdir(), "kustomize-"));
  removeAtEnd(directory);
  cpSync("k8s", path.join(directory, "k8s"), { recursive: true });
  const dist = path.join(directory, "dist");
  cpSync(await builtModule(build), dist, { recursive: true });
  writeKustomization(dist);
  return {
    directory,
    mixing(components, resources = []) {
      const overlay = path.join(directory, "k8s", "overlays", components.join("+").replaceAll("/", "."));
      mkdirSync(overlay, { recursive: true });
      const kustomization = {
        apiVersion: "kustomize.config.k8s.io/v1beta1",
        kind: "Kustomization",
        resources: ["../default", ...resources.map(name => `../../${name}`)],
        components: components.map(name => `../../components/${name}`),
      };
      writeFileSync(path.join(overlay, "kustomization.yaml"), dump(kustomization));
      return overlay;
    },
    remove() {
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** All components, by their path below k8s/components. */
export function allComponents(): string[] {
  return readdirSync("k8s/components", { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && entry.name === "kustomization.yaml")
    .map(entry => path.relative("k8s/components", entry.parentPath))
    .sort();
}
