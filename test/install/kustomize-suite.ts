import { readFileSync } from "node:fs";
import path from "node:path";
import { loadAll } from "js-yaml";
import { describe, expect, it } from "vitest";
import { endpointService } from "../../capabilities/kubernetes/provided-objects";
import { liveContents, MODELS, serveSomething, withoutMissingAnnotation } from "./installation-cluster";
import type { InstallationCluster, InstalledObject } from "./installation-cluster";
import { allComponents } from "./kustomize-workspace";
import type { KustomizeWorkspace } from "./kustomize-workspace";
import { settled } from "./live-contents";
import { commandsBelow } from "./readme-commands";

/** What each component has to be mixed in with: components before it, and further resources. */
const COMPANIONS: Readonly<Record<string, { readonly components?: readonly string[]; readonly resources?: string[] }>> =
  {
    "ingress/https": { components: ["https", "ingress"] },
    "monitoring/https": { components: ["https", "monitoring"] },
    "network-policy/monitoring": { components: ["network-policy", "monitoring"] },
    "network-policy/page": { components: ["network-policy", "page"] },
    "one-port/https": { components: ["https", "monitoring", "monitoring/https", "one-port"] },
    "one-namespace": { resources: ["target-namespace"] },
  };

/** All that can be mixed with each other, in the order that they need. */
export const EVERYTHING = [
  ...["https", "ingress", "ingress/https", "high-availability", "network-policy", "one-namespace"],
  ...["custom-template", "monitoring", "monitoring/https", "network-policy/monitoring", "page", "network-policy/page"],
];

interface Variant {
  readonly name: string;
  /** Path of the overlay in a workspace. */
  readonly path: (workspace: KustomizeWorkspace) => string;
}

const OVERLAYS: readonly Variant[] = ["default", "examples/gcp", "examples/aws", "examples/azure"].map(name => ({
  name: `overlays/${name}`,
  path: ({ directory }) => path.join(directory, "k8s/overlays", name),
}));

function mixture(name: string, components: readonly string[], resources: readonly string[] = []): Variant {
  return { name, path: workspace => workspace.mixing(components, resources) };
}

/** Each component alone, or with those that it needs. */
const COMPONENTS: readonly Variant[] = allComponents().map(name => {
  const { components = [], resources = [] } = COMPANIONS[name] ?? {};
  return mixture(`components/${name}`, [...components, name], resources);
});

/** Every component, with HTTPS and without, in a few installations: each takes seconds. */
const APPLIED: readonly Variant[] = [
  ...OVERLAYS,
  mixture("polling only, in one namespace", ["polling-only", "one-namespace", "custom-template"], ["target-namespace"]),
  mixture("all that goes without HTTPS", [
    ...["ingress", "high-availability", "network-policy", "monitoring", "network-policy/monitoring"],
    ...["page", "network-policy/page"],
  ]),
  mixture("one port of HTTPS", ["https", "one-port", "one-port/https"]),
  mixture("everything at once", EVERYTHING, ["target-namespace"]),
];

/** The overlays and components of k8s/, by the commands of k8s/README.md. */
export function kustomizeSuite(theCluster: () => InstallationCluster): void {
  const contents = (overlay: string): Promise<Record<string, unknown>> => liveContents(theCluster(), ["-k", overlay]);

  it("is installed and changed by the commands of k8s/README.md", async () => {
    const { type } = theCluster();
    // The build is there already, and has tests of its own.
    const [build, install = ""] = commandsBelow("k8s/README.md", "Quick start");
    expect(build).toBe("npm ci && npm run build\n");
    expect(await type(install)).toMatch(/deployment.*pepr-mlflow-kserve-watcher condition met/);
    for (const heading of ["Secret", "Settings"]) {
      const [commands = ""] = commandsBelow("k8s/README.md", heading);
      expect(await type(commands)).toMatch(/configured|restarted/);
    }
  }, 240_000);

  it.each(APPLIED)(
    "$name: accepted without a warning, and applying it again changes nothing",
    async ({ path: pathOf }) => {
      const { workspace, kubectl, withWarnings } = theCluster();
      const overlay = pathOf(workspace);
      // Objects in a namespace that the same apply makes cannot be tried without making it.
      await kubectl(["apply", "-k", path.join(workspace.directory, "k8s/target-namespace")]);
      const tried = await withWarnings(["apply", "--dry-run=server", "-k", overlay]);
      const applied = await withWarnings(["apply", "-k", overlay]);
      for (const { stderr } of [tried, applied]) expect(withoutMissingAnnotation(stderr)).toBe("");

      await kubectl([
        "wait",
        "-n",
        "pepr-system",
        "deployment",
        "--all",
        "--for=condition=Available",
        "--timeout=180s",
      ]);
      const before = await settled(() => contents(overlay));
      await withWarnings(["apply", "-k", overlay]);
      expect(await contents(overlay)).toEqual(before);
    },
    400_000,
  );

  it.each([...OVERLAYS, ...COMPONENTS])("$name can be rendered, and pins each image", async ({ path: pathOf }) => {
    const { render, workspace } = theCluster();
    const images = JSON.stringify(await render(pathOf(workspace))).match(/"image":"[^"]+"/g) ?? [];
    expect(images.length).toBeGreaterThan(0);
    expect(images.filter(image => !/:v?\d+\.\d+[^:/]*"$/.test(image))).toEqual([]);
  });

  it("is removed without what is served", async () => {
    const { kubectl, workspace, type } = theCluster();
    const overlay = path.join(workspace.directory, "k8s/overlays/examples/aws");
    await kubectl(["apply", "-k", overlay]);
    await serveSomething(theCluster());

    const [uninstall = ""] = commandsBelow("k8s/README.md", "Uninstalling");
    await type(uninstall.replace("k8s/overlays/default/", overlay));

    const left = await kubectl(["get", "namespaces,clusterroles,clusterrolebindings", "-o", "name"]);
    expect(left.split("\n").filter(line => line.includes("pepr"))).toEqual([]);
    expect(left).toContain(`namespace/${MODELS}`);
    expect(await kubectl(["get", "isvc", "served", "-n", MODELS, "-o", "name"])).toContain("served");
  }, 300_000);
}

describe("k8s/base", () => {
  it("has the built-in template", () => {
    const [ours, builtIn] = ["k8s/base/inference-service.yaml.txt", "templates/inference-service.yaml.txt"];
    expect(readFileSync(ours, "utf8")).toBe(readFileSync(builtIn, "utf8"));
  });

  it("has a Service that the module leaves alone, equal to what it would make", () => {
    const [service] = loadAll(readFileSync("k8s/base/service.yaml", "utf8")) as InstalledObject[];
    const { spec } = endpointService("pepr-system", { port: 8000, isHttps: false }).body;
    expect(spec).toMatchObject(service?.spec as object);
    expect(service?.metadata).not.toHaveProperty("labels");
  });
});
