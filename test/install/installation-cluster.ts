import { tmpdir } from "node:os";
import path from "node:path";
import { loadAll } from "js-yaml";
import { afterAll, beforeAll, inject } from "vitest";
import { customResourcesEstablished } from "../support/custom-resources";
import { moduleDirectory } from "../support/go-module-files";
import { run } from "../testbed/commands";
import { startTestbed } from "../testbed/index";
import type { Testbed } from "../testbed/index";
import { kubectlFor } from "../testbed/kubectl";
import type { Kubectl } from "../testbed/kubectl";
import { cleanEnvironment } from "../testbed/processes";
import { createKustomizeWorkspace } from "./kustomize-workspace";
import type { KustomizeWorkspace } from "./kustomize-workspace";
import { contentsOf } from "./live-contents";
import { runAsTyped } from "./readme-commands";

const CRDS = [
  { module: "github.com/cert-manager/cert-manager", version: "v1.21.2", crds: "deploy/crds" },
  {
    module: "github.com/prometheus-operator/prometheus-operator",
    version: "v0.85.0",
    crds: "example/prometheus-operator-crd",
  },
];

/** As much of a Kubernetes object as these tests look at. */
export interface InstalledObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/** A cluster without the module, with all that the manifests may want, and a copy of k8s/ beside a build. */
export interface InstallationCluster {
  readonly testbed: Testbed;
  readonly kubectl: Kubectl;
  readonly workspace: KustomizeWorkspace;
  /** Runs kubectl. @returns what it printed, warnings of the API server on its standard error included */
  readonly withWarnings: (args: readonly string[], input?: string) => Promise<{ stdout: string; stderr: string }>;
  /** Runs shell commands in the workspace, as somebody types them. */
  readonly type: (commands: string, programs?: readonly string[]) => Promise<string>;
  /** What `kubectl kustomize` makes of a folder. */
  readonly render: (folder: string) => Promise<InstalledObject[]>;
}

/**
 * Starts such a cluster for the suites of a file, and ends it after them: a cluster of its own, since the module's webhooks
 * would be in the way of other tests.
 *
 * @returns what gives it, once the tests run
 */
export function useInstallationCluster(): () => InstallationCluster {
  let cluster: InstallationCluster | undefined;
  beforeAll(async () => {
    const testbed = await startTestbed({ mlflowTrackingUri: inject("mlflowTrackingUri") });
    const kubectl = kubectlFor(testbed.kubectl, testbed.kubeconfig, tmpdir());
    const workspace = await createKustomizeWorkspace();
    cluster = {
      testbed,
      kubectl,
      workspace,
      withWarnings: (args, input) =>
        run(testbed.kubectl, ["--kubeconfig", testbed.kubeconfig, ...args], {
          environment: cleanEnvironment(),
          ...(input === undefined ? {} : { input }),
        }),
      type: (commands, programs = []) =>
        runAsTyped(commands, {
          directory: workspace.directory,
          kubeconfig: testbed.kubeconfig,
          programs: [testbed.kubectl, ...programs],
        }),
      render: async folder => loadAll((await run(testbed.kubectl, ["kustomize", folder])).stdout) as InstalledObject[],
    };
    for (const { module, version, crds } of CRDS) {
      const directory = path.join(await moduleDirectory(module, version), crds);
      await kubectl(["apply", "--server-side", "-f", directory]);
    }
    await customResourcesEstablished(kubectl, ["crd", "--all"]);
  }, 900_000);

  afterAll(async () => {
    await cluster?.testbed.stop();
    cluster?.workspace.remove();
  });

  return () => {
    if (cluster === undefined) throw new Error("The cluster is there once the tests run");
    return cluster;
  };
}

/** Puts a service there that a user has: what is served must outlive the module. */
export async function serveSomething({ kubectl }: InstallationCluster): Promise<void> {
  await kubectl(
    ["apply", "-f", "-"],
    JSON.stringify({ apiVersion: "v1", kind: "Namespace", metadata: { name: MODELS } }),
  );
  const service = {
    apiVersion: "serving.kserve.io/v1beta1",
    kind: "InferenceService",
    metadata: { name: "served", namespace: MODELS },
    spec: { predictor: { model: { modelFormat: { name: "mlflow" }, storageUri: "s3://models/x" } } },
  };
  await kubectl(["apply", "-f", "-"], JSON.stringify(service));
}

/** The namespace of the InferenceServices. */
export const MODELS = "kserve-mlflow-models";

/**
 * What live objects are told to be, by kind and name.
 *
 * @param which arguments of `kubectl get` that name them
 */
export async function liveContents(
  { kubectl }: InstallationCluster,
  which: readonly string[],
  input?: string,
): Promise<Record<string, unknown>> {
  return contentsOf(await kubectl(["get", ...which, "-o", "json"], input));
}

/** kubectl says so once about an object that it did not make by `apply`, as the quick start makes the namespace. */
export function withoutMissingAnnotation(stderr: string): string {
  return stderr
    .split("\n")
    .filter(line => !line.includes("is missing the kubectl.kubernetes.io/last-applied-configuration annotation"))
    .join("\n")
    .trim();
}
