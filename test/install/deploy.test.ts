import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { V1Pod, V1Service } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { listWebhooks } from "../../capabilities/mlflow/webhook-registration";
import { openRegistry } from "../support/mlflow-registry";
import { waitFor } from "../support/waiting";
import { transportTo } from "../support/webhook-modes";
import { startMlflow, startTestbed } from "../testbed/index";
import type { MlflowServer, Testbed } from "../testbed/index";
import { kubectlFor } from "../testbed/kubectl";
import type { Kubectl } from "../testbed/kubectl";
import { cleanEnvironment } from "../testbed/processes";
import { forgetGroup, watchGroup } from "../testbed/watchdog";
import { serveLogs } from "./pod-logs";
import { serveClusterAddress } from "./pod-network";
import type { ServiceAddress } from "./pod-network";
import { canPlayNode, controllerImage, startPod } from "./pod-process";
import type { PodProcess } from "./pod-process";
import { commandsBelow, runAsTyped } from "./readme-commands";
import { createWorkingCopy } from "../support/working-copy";

const NAMESPACE = "pepr-system";
/** Milliseconds that a step may take on a busy machine. */
const BUSY = 120_000;
const ENDPOINT_SERVICE = "mlflow-kserve-webhook-listener";
const PEPR = path.resolve("node_modules/pepr/dist/cli.js");

// As a user does it, from nothing. A cluster of its own: Pepr's webhooks and namespaces would be in the way of other tests.
// Without root nobody can play the node, on which the pods run.
describe.runIf(canPlayNode())("npx pepr deploy", () => {
  let testbed: Testbed;
  let mlflow: MlflowServer;
  let kubectl: Kubectl;
  const copy = createWorkingCopy();
  const pods: Partial<Record<"admission" | "watcher", PodProcess>> = {};
  const addresses: ServiceAddress[] = [];
  const toStop: (() => Promise<void>)[] = [];

  const type = (commands: string): Promise<string> =>
    runAsTyped(commands, {
      directory: copy.directory,
      kubeconfig: testbed.kubeconfig,
      programs: [testbed.kubectl],
    });
  const get = async <T>(...args: string[]): Promise<T> =>
    JSON.parse(await kubectl(["get", "-o", "json", ...args])) as T;

  /** The pod that the Deployment's controllers made, run as a node would run it. */
  const startRole = async (role: "admission" | "watcher"): Promise<PodProcess> => {
    const selector = `pepr.dev/controller=${role}`;
    const pod = await waitFor(
      `a pod of ${role}`,
      async () => {
        const { items } = await get<{ items: V1Pod[] }>("pods", "-n", NAMESPACE, "-l", selector);
        return items.find(({ spec, metadata }) => spec?.nodeName !== undefined && !metadata?.deletionTimestamp);
      },
      BUSY,
    );
    const started = await startPod({
      kubectl,
      pod,
      image: controllerImage(),
      apiServerPort: Number(new URL(await server()).port),
      outgoing: [Number(new URL(mlflow.trackingUri).port)],
      ports: [3000, 8000],
    });
    pods[role] = started;
    podNames[role] = pod.metadata?.name ?? "";
    await started.ready();
    return started;
  };
  const podNames: Partial<Record<"admission" | "watcher", string>> = {};
  const server = (): Promise<string> =>
    kubectl(["config", "view", "--raw", "--output=jsonpath={.clusters[0].cluster.server}"]);
  const setting = async (name: string, value: string): Promise<void> => {
    const data = JSON.stringify({ data: { [`MLFLOW_KSERVE_${name}`]: value } });
    await kubectl(["patch", "configmap", "mlflow-kserve-config", "-n", NAMESPACE, "--type=merge", "-p", data]);
  };
  /** Makes a Service reachable at its cluster address, and leads it to the admission pod that runs here. */
  const openService = async (name: string): Promise<string> => {
    const { spec } = await get<V1Service>("service", name, "-n", NAMESPACE);
    const address = spec?.clusterIP ?? "";
    const sockets = (spec?.ports ?? []).map(
      ({ port, targetPort }) => [port, pods.admission?.network.socketOf(Number(targetPort ?? port)) ?? ""] as const,
    );
    addresses.push(await serveClusterAddress(address, new Map(sockets)));
    return address;
  };

  beforeAll(async () => {
    testbed = await startTestbed({ mlflowTrackingUri: inject("mlflowTrackingUri") });
    toStop.push(() => testbed.stop());
    // Of its own as well: the module deploys all that is tagged, and its webhook outlives it.
    mlflow = await startMlflow({ python: testbed.python, workers: 1 });
    kubectl = kubectlFor(testbed.kubectl, testbed.kubeconfig, tmpdir());
    const [install = ""] = commandsBelow("README.md", "Install it on a cluster");
    const output = await type(install.replace("http://mlflow.mlflow.svc:5000", mlflow.trackingUri));
    expect(output).toContain("Module deployed successfully");
    // MLflow is no pod here, and does not know the cluster's names: see below.
    await setting("MLFLOW_WEBHOOK_URL", "");
    await startRole("admission");
    await startRole("watcher");
  }, 900_000);

  afterAll(async () => {
    await Promise.all(addresses.map(address => address.close()));
    await Promise.all(Object.values(pods).map(pod => pod.stop()));
    // What was started last is stopped first.
    for (const stop of toStop.reverse()) await stop();
    copy.remove();
  }, 240_000);

  it("provides the Service of the endpoint, which reaches it", async () => {
    const service = await get<V1Service>("service", ENDPOINT_SERVICE, "-n", NAMESPACE);
    expect(service.metadata?.labels).toMatchObject({ "managed-by": "mlflow-kserve-webhook-listener" });
    expect(service.spec?.ports?.map(({ name, port, targetPort }) => [name, port, targetPort])).toEqual([
      ["http", 80, 8000],
      ["https", 443, 8443],
    ]);
    // The pods that Kubernetes itself finds for it.
    const endpoints = await waitFor(
      "its pods",
      async () => {
        const slices = await get<{ items: { endpoints?: { targetRef?: { name: string } }[] }[] }>(
          ...["endpointslices", "-n", NAMESPACE, "-l", `kubernetes.io/service-name=${ENDPOINT_SERVICE}`],
        );
        return slices.items[0]?.endpoints?.map(({ targetRef }) => targetRef?.name);
      },
      BUSY,
    );
    expect(endpoints).toContain(podNames.admission);

    const address = await openService(ENDPOINT_SERVICE);
    const health = await fetch(`http://${address}/health`);
    expect(await health.json()).toMatchObject({ mlflow_connected: true, kubernetes_connected: true });
    // That is on the port for operations, to which this Service does not lead.
    expect((await fetch(`http://${address}/services`)).status).toBe(404);
  }, 240_000);

  it("provides the target namespace", async () => {
    expect(await kubectl(["get", "namespace", "kserve-mlflow-models", "-o", "name"])).toBe(
      "namespace/kserve-mlflow-models",
    );
  });

  it("warns of nothing", () => {
    for (const pod of Object.values(pods)) expect(pod.logged.join("\n")).toContain("Endpoint is listening");
    // Other tests have services of the module in the same cluster, which it is right to name.
    const isElsewhere = (line: string): boolean => line.includes("InferenceServices are in other namespaces");
    const warnings = Object.values(pods).flatMap(({ logged }) =>
      logged.filter(line => (/"level":(40|50|60)/.test(line) || /forbidden/i.test(line)) && !isElsewhere(line)),
    );
    expect(warnings).toEqual([]);
  });

  it("deploys a version that is tagged in MLflow, delivered through the Service, and pepr monitor shows its admission", async () => {
    await openService("pepr-mlflow-kserve");
    const { clusterIP = "" } = (await get<V1Service>("service", ENDPOINT_SERVICE, "-n", NAMESPACE)).spec ?? {};
    // By its address: MLflow is no pod here, and does not know the cluster's names.
    await setting("MLFLOW_WEBHOOK_URL", `http://${clusterIP}/webhook`);
    await setting("MLFLOW_WEBHOOK_CACHE_TTL", "1"); // as the testbed's MLflow has it
    // A minute until the next poll: what is deployed at once was delivered.
    await setting("POLLING_INTERVAL", "3600");
    await restart();
    const logs = await serveLogs(kubectl, {
      kubeconfig: testbed.kubeconfig,
      kubectlPath: testbed.kubectl,
      namespace: NAMESPACE,
      pods: Object.fromEntries((await admissionPods()).map(name => [name, logFileOf(name)])),
    });
    toStop.push(() => logs.stop());
    await waitFor(
      "the proof of the webhook",
      () => pods.admission?.logged.some(line => line.includes("Webhook registered and proven")) ?? undefined,
      BUSY,
    );
    const monitor = startMonitor();
    toStop.push(monitor.stop);

    const registry = openRegistry(mlflow.trackingUri);
    const key = await registry.register("iris", "s3://models/iris");
    await registry.setTag(key, "deploy", "true");

    const ready = await waitFor(
      "the InferenceService",
      async () => {
        const { status } = await get<{ status?: { conditions?: { type: string; status: string }[] } }>(
          ...["inferenceservice", "mlflow-iris-v1", "-n", "kserve-mlflow-models"],
        );
        return status?.conditions?.find(({ type }) => type === "Ready")?.status === "True" || undefined;
      },
      BUSY,
    );
    expect(ready).toBe(true);
    const shown = await waitFor(
      "the admission in pepr monitor",
      () => {
        const text = monitor.output();
        if (monitor.hasEnded()) throw new Error(`pepr monitor ended, and said:\n${text}`);
        return /VALIDATE +\S*mlflow-iris-v1/.test(text) ? text : undefined;
      },
      BUSY,
    );
    expect(shown).toMatch(/MUTATE +\S*mlflow-iris-v1/);
    expect(await kubectl(["get", "isvc", "mlflow-iris-v1", "-n", "kserve-mlflow-models", "-o", "yaml"])).toContain(
      `mlflow.created-by: system:serviceaccount:${NAMESPACE}:pepr-mlflow-kserve`,
    );
  }, 600_000);

  it("takes its webhook out of MLflow by the command of README.md", async () => {
    const transport = transportTo(mlflow.trackingUri);
    expect(await listWebhooks(transport)).toHaveLength(1);
    await type(commandsBelow("README.md", "Install it on a cluster").at(-2) ?? "");
    await restart();
    await waitFor("its end", async () => ((await listWebhooks(transport)).length === 0 ? true : undefined), BUSY);
    expect(pods.admission?.logged.join("\n")).toContain("Webhook was removed from MLflow");
  }, 240_000);

  it("is removed by the commands of README.md, without what is served", async () => {
    await type(commandsBelow("README.md", "Install it on a cluster").at(-1) ?? "");
    const left = await kubectl(["get", "namespaces,clusterroles,validatingwebhookconfigurations", "-o", "name"]);
    expect(left).not.toContain("pepr");
    expect(await kubectl(["get", "isvc", "-n", "kserve-mlflow-models", "-o", "name"])).toContain("mlflow-iris-v1");
  }, 240_000);

  /** As `kubectl rollout restart` would, but the pods keep their names. */
  async function restart(): Promise<void> {
    await Promise.all(addresses.splice(0).map(address => address.close()));
    for (const role of ["admission", "watcher"] as const) {
      await pods[role]?.stop();
      await startRole(role);
    }
    await openService(ENDPOINT_SERVICE);
    await openService("pepr-mlflow-kserve");
  }

  async function admissionPods(): Promise<string[]> {
    const selector = ["-l", "pepr.dev/controller=admission"];
    const { items } = await get<{ items: V1Pod[] }>("pods", "-n", NAMESPACE, ...selector);
    return items.map(({ metadata }) => metadata?.name ?? "");
  }

  /** One of the admission pods runs here; `pepr monitor` follows the logs of all, and those of the others are empty. */
  function logFileOf(pod: string): string {
    if (pod === podNames.admission) return pods.admission?.logFile ?? "";
    const file = path.join(copy.directory, `${pod}.log`);
    writeFileSync(file, "");
    return file;
  }

  interface Monitor {
    readonly output: () => string;
    readonly hasEnded: () => boolean;
    readonly stop: () => Promise<void>;
  }

  function startMonitor(): Monitor {
    const child = spawn(process.execPath, [PEPR, "monitor", "mlflow-kserve"], {
      cwd: copy.directory,
      detached: true,
      env: { ...cleanEnvironment(), KUBECONFIG: testbed.kubeconfig },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (text: Buffer) => (output += text.toString()));
    if (child.pid !== undefined) watchGroup(child.pid);
    const ended = once(child, "close");
    return {
      output: () => output,
      hasEnded: () => child.exitCode !== null || child.signalCode !== null,
      async stop() {
        child.kill("SIGKILL");
        await ended;
        if (child.pid !== undefined) forgetGroup(child.pid);
      },
    };
  }
});
