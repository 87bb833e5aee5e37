import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { connectToApiServer } from "../../capabilities/kubernetes/api-server";
import { createInferenceServices } from "../../capabilities/kserve/inference-services";
import { messageOf } from "../../capabilities/observability/logging";
import { startApiServerProxy } from "../support/api-server-proxy";
import { startDeliveryRelay } from "../support/delivery-relay";
import { kubeConfigFrom } from "../support/kube-config";
import { keepLive } from "../support/kubelet";
import { createReplica } from "../support/replica";
import type { Replica } from "../support/replica";
import { startTamperingProxy } from "../support/tampering-proxy";
import { waitFor } from "../support/waiting";
import { registerBystanders } from "./bystanders";
import { createClusterDriver } from "./cluster-driver";
import { createFaults } from "./faults";
import type { Faults } from "./faults";
import { createForeignObjects } from "./foreign-objects";
import type { ForeignObjects } from "./foreign-objects";
import type { Lane } from "./lane";
import type { Operation, Plan } from "./operations";
import { createOracle } from "./oracle";
import type { Oracle } from "./oracle";
import { inSmallPages } from "./paging";
import { createProcessDriver } from "./process-driver";
import { createRegistryDriver, deleteModel, deleteWebhooks } from "./registry-driver";

/** What was done when, and what came of it. */
export interface JournalEntry {
  /** Milliseconds after the music began. */
  readonly at: number;
  readonly operation: Operation;
  /** "missed": there was nothing to do it to. */
  readonly outcome: "done" | "missed" | "failed";
  readonly error?: string;
}

/** Three copies of the module at work between real systems, in a namespace of their own, and all that disturbs them. */
export interface Session {
  readonly replicas: readonly Replica[];
  readonly watcher: Replica;
  readonly oracle: Oracle;
  readonly foreign: ForeignObjects;
  readonly faults: Faults;
  readonly namespace: string;
  /** Plays a plan to its end; the last of its operations is over then, and everything runs again. */
  readonly play: (plan: Plan) => Promise<readonly JournalEntry[]>;
  /** Deletes versions of models, so that a long sequence does not grow without end. */
  readonly clearModels: () => Promise<void>;
  /** What went wrong that no comparison of states shows. */
  readonly violations: () => Promise<readonly string[]>;
  readonly close: () => Promise<void>;
}

const SECRET = "known to MLflow, the module and this test";

/** Seconds, the least that the module takes. */
const POLLING_INTERVAL = 10;

/** Older deliveries must be refused; a little more than the 300 s that the module allows. */
const SURELY_TOO_OLD = 305;

export async function openSession(lane: Lane, seed: number): Promise<Session> {
  const namespace = `c${seed % 1_000_000}-${randomBytes(3).toString("hex")}`;
  const tagKey = `deploy-${namespace}`;
  await lane.kubectl(["create", "namespace", namespace]);
  let faults = createFaults(seed);
  const [mlflowProxy, apiServerProxy] = await Promise.all([
    startTamperingProxy(lane.trackingUri),
    startApiServerProxy({ kubeconfig: lane.kubeconfig, directory: lane.logDirectory }),
  ]);
  mlflowProxy.rewrite = inSmallPages;
  mlflowProxy.tamper = (path, answer) => faults.mlflow(path, answer);
  apiServerProxy.fault = request => faults.apiServer(request);

  const relay = await startDeliveryRelay({
    secret: SECRET,
    targets: () => endpoints.filter(({ pid }) => pid !== undefined).map(({ url }) => url),
  });
  relay.fault = () => faults.delivery();
  const settings = {
    MLFLOW_TRACKING_URI: mlflowProxy.url,
    MLFLOW_WEBHOOK_SECRET: SECRET,
    MLFLOW_WEBHOOK_URL: relay.url,
    MLFLOW_WEBHOOK_NAME: namespace,
    KUBE_NAMESPACE: namespace,
    DEPLOY_TAG_KEY: tagKey,
    POLLING_INTERVAL: String(POLLING_INTERVAL),
    // One more poll; the many that are the default would make a seed that deletes nearly all take minutes.
    DELETION_GUARD_CONFIRMATIONS: "1",
    LOG_LEVEL: "DEBUG",
  };
  const replicaOf = (role: "endpoint" | "watcher", number: number): Promise<Replica> =>
    createReplica({
      name: `${namespace}-${role}-${number}`,
      role,
      kubeconfig: apiServerProxy.kubeconfig,
      logDirectory: lane.logDirectory,
      settings,
    });
  const [watcher, ...endpoints] = await Promise.all([
    replicaOf("watcher", 1),
    replicaOf("endpoint", 1),
    replicaOf("endpoint", 2),
  ]);
  const replicas = [watcher, ...endpoints];

  const apiServer = connectToApiServer(15_000, kubeConfigFrom(lane.kubeconfig));
  const foreign = createForeignObjects();
  const registry = createRegistryDriver(lane.trackingUri, tagKey);
  const bystanders = await registerBystanders(lane.trackingUri, tagKey, namespace);
  const cluster = createClusterDriver(apiServer, namespace, foreign, bystanders.names);
  const services = createInferenceServices(apiServer, namespace);
  const uidOf = async (name: string): Promise<string | undefined> => (await services.get(name))?.metadata.uid;
  let processes = createProcessDriver(replicas, lane.parts, faults);
  const closed = new AbortController();
  for (const replica of replicas) void keepLive(replica, closed.signal, () => processes.restart(replica));
  let failedStarts = 0;
  const environment = Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [`MLFLOW_KSERVE_${name}`, value]),
  );
  const { trackingUri } = lane;
  const oracle = createOracle({ trackingUri, apiServer, namespace, tagKey, environment });
  const accepted: string[] = [];

  const perform = async (operation: Operation): Promise<boolean> => {
    switch (operation.kind) {
      case "edit":
      case "delete object":
      case "take label off":
      case "put label on":
        return await cluster.change(operation);
      case "create foreign": {
        const key = registry.resolve(operation.of);
        return key !== undefined && (await cluster.createForeign(key, operation.variant));
      }
      case "create foreign while tagging": {
        const { of, variant } = operation;
        const key = registry.resolve(of);
        if (key === undefined) return false;
        const [made] = await Promise.all([
          cluster.createForeign(key, variant),
          registry.execute({ kind: "set tag", of, value: "true" }),
        ]);
        return made;
      }
      case "MLflow faults":
        await faults.open("MLflow", operation.probability, operation.milliseconds);
        return true;
      case "API server faults":
        await faults.open("API server", operation.probability, operation.milliseconds);
        return true;
      case "delivery faults":
        await faults.open("delivery", operation.probability, operation.milliseconds);
        return true;
      case "cut watches": {
        const cut = apiServerProxy.cutWatches();
        if (cut > 0) faults.count("watches cut");
        return cut > 0;
      }
      case "replay delivery": {
        const delivery = relay.received[operation.which % Math.max(1, relay.received.length)];
        if (delivery === undefined) return false;
        faults.count("delivery: replayed");
        const status = await relay.send(delivery.body, operation.age);
        if (operation.age > SURELY_TOO_OLD && status >= 200 && status < 300) {
          accepted.push(`A delivery signed ${operation.age} s ago was answered ${status}`);
        }
        return status > 0;
      }
      case "forge delivery": {
        const key = registry.resolve(operation.of);
        if (key === undefined) return false;
        faults.count("delivery: forged");
        const data = { name: key.model, version: key.version, key: tagKey, value: "true" };
        const event = {
          entity: "model_version_tag",
          action: operation.action,
          timestamp: new Date().toISOString(),
          data,
        };
        return (await relay.send(Buffer.from(JSON.stringify(event)))) > 0;
      }
      case "kill replica":
      case "terminate replica":
      case "pause part":
      case "restart part":
        return await processes.execute(operation);
      case "create version":
      case "set tag":
      case "delete tag":
      case "flip tag":
      case "set other tag":
      case "delete version":
      case "register again":
      case "rename model":
      case "delete model":
      case "replace model":
        return await registry.execute(operation);
    }
  };

  await Promise.all(replicas.map(replica => replica.start()));
  await bystanders.remember(uidOf);
  await waitFor("the webhook", () =>
    endpoints.some(({ logged }) => logged.some(({ msg }) => msg === "Webhook registered and proven"))
      ? true
      : undefined,
  );

  return {
    replicas,
    watcher,
    oracle,
    foreign,
    namespace,
    get faults() {
      return faults;
    },

    async play(plan) {
      faults = createFaults(plan.faultSeed);
      processes = createProcessDriver(replicas, lane.parts, faults);
      registry.useModels(plan.models);
      const start = performance.now();
      const now = (): number => Math.round(performance.now() - start);
      const journal: JournalEntry[] = [];
      const run = async (operation: Operation): Promise<void> => {
        const at = now();
        try {
          const outcome = (await perform(operation)) ? "done" : "missed";
          journal.push({ at, operation, outcome });
        } catch (error) {
          journal.push({ at, operation, outcome: "failed", error: messageOf(error) });
        }
      };
      const running: Promise<void>[] = [];
      for (const { at, operation } of plan.steps) {
        if (at > now()) await sleep(at - now());
        running.push(run(operation));
      }
      await Promise.all(running);
      faults.end();
      await processes.restoreAll();
      failedStarts += processes.failedStarts;
      await cluster.settleUnanswered();
      await relay.idle();
      return journal.sort((one, other) => one.at - other.at);
    },

    clearModels: () => registry.deleteAll(),

    async violations() {
      const replaced: string[] = [];
      for (const name of bystanders.names) if (!bystanders.isSame(name, await uidOf(name))) replaced.push(name);
      const crashes = replicas.reduce((sum, replica) => sum + replica.crashes, 0) - failedStarts;
      const unexpected = replicas.flatMap(({ logged, logFile }) =>
        logged.filter(({ msg }) => msg?.includes("Unexpected error")).map(({ msg }) => `${logFile}: ${msg}`),
      );
      return [
        ...accepted,
        ...unexpected,
        ...replaced.map(name => `${name}, which nobody touched, was deleted`),
        ...(crashes > 0 ? [`${crashes} times a replica ended by itself`] : []),
      ];
    },

    async close() {
      closed.abort();
      faults.end();
      await Promise.all([
        ...replicas.map(replica => replica.kill()),
        deleteWebhooks(lane.trackingUri, namespace)
          .then(() => deleteModel(lane.trackingUri, bystanders.model))
          .then(() => registry.deleteAll()),
      ]);
      relay.close();
      mlflowProxy.close();
      await apiServerProxy.close();
      await lane.kubectl(["delete", "namespace", namespace, "--wait=false"]);
    },
  };
}
