import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { loadAll } from "js-yaml";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { endpointService } from "../../capabilities/installation/provided-objects";
import { moduleDirectory } from "../support/go-module-files";
import { waitFor } from "../support/waiting";
import { run } from "../testbed/commands";
import { startTestbed } from "../testbed/index";
import type { Testbed } from "../testbed/index";
import { kubectlFor } from "../testbed/kubectl";
import type { Kubectl } from "../testbed/kubectl";
import { cleanEnvironment } from "../testbed/processes";
import { allComponents, createKustomizeWorkspace } from "./kustomize-workspace";
import type { KustomizeWorkspace } from "./kustomize-workspace";
import { commandsBelow, runAsTyped } from "./readme-commands";

const CERT_MANAGER = { module: "github.com/cert-manager/cert-manager", version: "v1.16.3", crds: "deploy/crds" };
const PROMETHEUS_OPERATOR = {
  module: "github.com/prometheus-operator/prometheus-operator",
  version: "v0.85.0",
  crds: "example/prometheus-operator-crd",
};

/** What each component has to be mixed in with: components before it, and further resources. */
const COMPANIONS: Readonly<Record<string, { readonly components?: readonly string[]; readonly resources?: string[] }>> =
  {
    "ingress/https": { components: ["https", "ingress"] },
    "monitoring/https": { components: ["https", "monitoring"] },
    "network-policy/monitoring": { components: ["network-policy", "monitoring"] },
    "one-namespace": { resources: ["target-namespace"] },
  };

interface Variant {
  readonly name: string;
  /** Path of the overlay in a workspace. */
  readonly path: (workspace: KustomizeWorkspace) => string;
}

const VARIANTS: readonly Variant[] = [
  ...["default", "examples/gcp", "examples/aws", "examples/azure"].map(name => ({
    name: `overlays/${name}`,
    path: ({ directory }: KustomizeWorkspace) => path.join(directory, "k8s/overlays", name),
  })),
  ...allComponents().map(name => {
    const { components = [], resources = [] } = COMPANIONS[name] ?? {};
    return {
      name: `components/${name}`,
      path: (workspace: KustomizeWorkspace) => workspace.mixing([...components, name], resources),
    };
  }),
  {
    name: "everything at once",
    path: workspace =>
      workspace.mixing(
        [
          ...["https", "ingress", "ingress/https", "high-availability", "network-policy", "one-namespace"],
          ...["custom-template", "monitoring", "monitoring/https", "network-policy/monitoring"],
        ],
        ["target-namespace"],
      ),
  },
];

interface AppliedObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly resourceVersion: string };
  readonly spec?: unknown;
}

describe("kustomize", () => {
  let testbed: Testbed;
  let kubectl: Kubectl;
  let workspace: KustomizeWorkspace;

  /** What kubectl printed, warnings of the API server on its standard error included. */
  const withWarnings = async (...args: string[]): Promise<{ stdout: string; stderr: string }> =>
    await run(testbed.kubectl, ["--kubeconfig", testbed.kubeconfig, ...args], { environment: cleanEnvironment() });
  const render = async (overlay: string): Promise<AppliedObject[]> =>
    loadAll((await run(testbed.kubectl, ["kustomize", overlay])).stdout) as AppliedObject[];
  const liveVersions = async (overlay: string): Promise<Record<string, string>> => {
    const { items } = JSON.parse(await kubectl(["get", "-k", overlay, "-o", "json"])) as { items: AppliedObject[] };
    return Object.fromEntries(
      items.map(({ kind, metadata }) => [`${kind} ${metadata.name}`, metadata.resourceVersion] as const),
    );
  };

  const type = (commands: string): Promise<string> =>
    runAsTyped(commands, {
      directory: workspace.directory,
      kubeconfig: testbed.kubeconfig,
      kubectlPath: testbed.kubectl,
    });

  beforeAll(async () => {
    // A cluster of its own: the module's webhooks would be in the way of other tests.
    testbed = await startTestbed({ mlflowTrackingUri: inject("mlflowTrackingUri") });
    workspace = await createKustomizeWorkspace();
    kubectl = kubectlFor(testbed.kubectl, testbed.kubeconfig, tmpdir());
    for (const { module, version, crds } of [CERT_MANAGER, PROMETHEUS_OPERATOR]) {
      const directory = path.join(await moduleDirectory(module, version), crds);
      await kubectl(["apply", "--server-side", "-f", directory]);
    }
    await kubectl(["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"]);
  }, 900_000);

  afterAll(async () => {
    await testbed.stop();
    workspace.remove();
  });

  it("is installed and changed by the commands of k8s/README.md", async () => {
    // The build is there already, and has tests of its own.
    const [build, install = ""] = commandsBelow("k8s/README.md", "Quick start");
    expect(build).toBe("npm ci && npm run build\n");
    expect(await type(install)).toMatch(/deployment.*pepr-mlflow-kserve-watcher condition met/);
    for (const heading of ["Secret", "Settings"]) {
      const [commands = ""] = commandsBelow("k8s/README.md", heading);
      expect(await type(commands)).toMatch(/configured|restarted/);
    }
  }, 240_000);

  it.each(VARIANTS)(
    "$name is accepted without a warning, and applying it again changes nothing",
    async ({ path: pathOf }) => {
      const overlay = pathOf(workspace);
      // Objects in a namespace that the same apply makes cannot be tried without making it.
      await kubectl(["apply", "-k", path.join(workspace.directory, "k8s/target-namespace")]);
      const tried = await withWarnings(
        "apply",
        "--server-side",
        "--force-conflicts",
        "--dry-run=server",
        "-k",
        overlay,
      );
      const applied = await withWarnings("apply", "-k", overlay);
      for (const { stderr } of [tried, applied]) expect(withoutMissingAnnotation(stderr)).toBe("");

      await kubectl(["wait", "-n", "pepr-system", "deployment", "--all", "--for=condition=Available", "--timeout=60s"]);
      const before = await settled(() => liveVersions(overlay));
      const { stdout } = await withWarnings("apply", "-k", overlay);
      expect(stdout.split("\n").filter(line => line !== "" && !line.endsWith(" unchanged"))).toEqual([]);
      expect(await liveVersions(overlay)).toEqual(before);
    },
    240_000,
  );

  it.each(VARIANTS)("$name pins each image to a version", async ({ path: pathOf }) => {
    const images = JSON.stringify(await render(pathOf(workspace))).match(/"image":"[^"]+"/g) ?? [];
    expect(images.length).toBeGreaterThan(0);
    expect(images.filter(image => !/:v?\d+\.\d+[^:/]*"$/.test(image))).toEqual([]);
  });

  it("has the built-in template in its base", () => {
    const [ours, builtIn] = ["k8s/base/inference-service.yaml.txt", "templates/inference-service.yaml.txt"];
    expect(readFileSync(ours, "utf8")).toBe(readFileSync(builtIn, "utf8"));
  });

  it("has a Service that the module leaves alone, equal to what it would make", () => {
    const [service] = loadAll(readFileSync("k8s/base/service.yaml", "utf8")) as AppliedObject[];
    const { spec } = endpointService("pepr-system", { port: 8000, isHttps: false }).body;
    expect(spec).toMatchObject(service?.spec as object);
    expect(service?.metadata).not.toHaveProperty("labels");
  });

  it("is removed without what is served", async () => {
    const overlay = path.join(workspace.directory, "k8s/overlays/examples/aws");
    await kubectl(["apply", "-k", overlay]);
    const service = {
      apiVersion: "serving.kserve.io/v1beta1",
      kind: "InferenceService",
      metadata: { name: "served", namespace: "kserve-mlflow-models" },
      spec: { predictor: { model: { modelFormat: { name: "mlflow" }, storageUri: "s3://models/x" } } },
    };
    await kubectl(["apply", "-f", "-"], JSON.stringify(service));

    const [uninstall = ""] = commandsBelow("k8s/README.md", "Uninstalling");
    await type(uninstall.replace("k8s/overlays/default/", overlay));

    const left = await kubectl(["get", "namespaces,clusterroles,clusterrolebindings", "-o", "name"]);
    expect(left.split("\n").filter(line => line.includes("pepr"))).toEqual([]);
    expect(left).toContain("namespace/kserve-mlflow-models");
    expect(await kubectl(["get", "isvc", "served", "-n", "kserve-mlflow-models", "-o", "name"])).toContain("served");
  }, 180_000);
});

/** kubectl says so once about an object that it did not make by `apply`, as the quick start makes the namespace. */
function withoutMissingAnnotation(stderr: string): string {
  return stderr
    .split("\n")
    .filter(line => !line.includes("is missing the kubectl.kubernetes.io/last-applied-configuration annotation"))
    .join("\n")
    .trim();
}

/** What is read twice in a row: controllers have written their statuses. */
async function settled<T>(read: () => Promise<T>): Promise<T> {
  let last: string | undefined;
  return await waitFor("the end of all changes", async () => {
    const now = await read();
    const same = JSON.stringify(now) === last;
    last = JSON.stringify(now);
    return same ? now : undefined;
  });
}
