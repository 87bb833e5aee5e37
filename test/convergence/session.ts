import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { connectToApiServer } from "../../capabilities/kubernetes/api-server";
import type { ApiServer } from "../../capabilities/kubernetes/api-server";
import { keyOf, serves } from "../../capabilities/kserve/identity";
import type { IdentityMetadata } from "../../capabilities/kserve/identity";
import { messageOf } from "../../capabilities/observability/logging";
import { startApiServerProxy } from "../support/api-server-proxy";
import { startDeliveryRelay } from "../support/delivery-relay";
import { kubeConfigFrom } from "../support/kube-config";
import { keepLive } from "../support/kubelet";
import type { Replica } from "../support/replica";
import { openRegistry } from "../support/mlflow-registry";
import { startTamperingProxy } from "../support/tampering-proxy";
import { waitFor } from "../support/waiting";
import { BYSTANDERS_SOURCE, registerBystanders } from "./bystanders";
import type { BystandingModels } from "./bystanders";
import { createClusterDriver } from "./cluster-driver";
import { createFaults } from "./faults";
import type { Faults } from "./faults";
import { createForeignObjects } from "./foreign-objects";
import { createInstallation } from "./installation";
import type { Installation } from "./installation";
import type { Lane } from "./lane";
import type { Operation, Plan } from "./operations";
import type { Judgement } from "./oracle";
import { inSmallPages } from "./paging";
import { createPerformer } from "./performer";
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

/**
 * Three copies of the module at work between real systems, in a namespace of their own, and all that disturbs them; and
 * maybe another installation, with a namespace and a tag of its own, which is left in peace.
 */
export interface Session {
  readonly replicas: readonly Replica[];
  /** Those of the replicas that poll. */
  readonly watchers: readonly Replica[];
  readonly faults: Faults;
  /** Compares the cluster with MLflow, for all installations. */
  readonly judge: () => Promise<Judgement>;
  /** How many objects that are not the module's are on their way out. */
  readonly foreignDeletions: () => Promise<number>;
  /** Plays a plan to its end; the last of its operations is over then, and everything runs again. */
  readonly play: (plan: Plan) => Promise<readonly JournalEntry[]>;
  /** Deletes versions of models, so that a long sequence does not grow without end. */
  readonly clearModels: () => Promise<void>;
  /** What went wrong that no comparison of states shows. */
  readonly violations: () => Promise<readonly string[]>;
  readonly close: () => Promise<void>;
}

const SECRET = "known to MLflow, the module and this test";

/** @param options the seed, and whether there is another installation beside */
export async function openSession(lane: Lane, options: Pick<Plan, "seed" | "hasNeighbour">): Promise<Session> {
  const { seed, hasNeighbour } = options;
  const namespace = `c${seed % 1_000_000}-${randomBytes(3).toString("hex")}`;
  const tagKey = `deploy-${namespace}`;
  const otherTagKey = `${tagKey}-not`;
  const [mlflowProxy, apiServerProxy, models] = await Promise.all([
    startTamperingProxy(lane.trackingUri),
    startApiServerProxy({ kubeconfig: lane.kubeconfig, directory: lane.logDirectory }),
    registerBystanders(lane.trackingUri, namespace, [tagKey, otherTagKey]),
    lane.kubectl(["create", "namespace", namespace]),
  ]);
  let faults = createFaults(seed);
  mlflowProxy.rewrite = inSmallPages;
  mlflowProxy.tamper = (path, answer) => faults.mlflow(path, answer);
  apiServerProxy.fault = request => faults.apiServer(request);
  const relay = await startDeliveryRelay({
    secret: SECRET,
    targets: () => installation.endpoints.filter(({ pid }) => pid !== undefined).map(({ url }) => url),
  });
  relay.fault = () => faults.delivery();

  const apiServer = connectToApiServer(15_000, kubeConfigFrom(lane.kubeconfig));
  const { kubeconfig } = apiServerProxy;
  const addresses = {
    namespace,
    tagKey,
    mlflowUrl: mlflowProxy.url,
    kubeconfig,
    secret: SECRET,
    webhookUrl: relay.url,
  };
  const installation = await createInstallation(lane, apiServer, addresses, 2, models);
  const neighbour = hasNeighbour ? await openNeighbour(lane, apiServer, namespace, otherTagKey, models) : undefined;
  const installations = [installation, ...(neighbour === undefined ? [] : [neighbour])];
  const { endpoints, replicas } = installation;

  const registry = createRegistryDriver(lane.trackingUri, tagKey);
  const isOurs = (metadata: IdentityMetadata): boolean =>
    keyOf(metadata) !== undefined || [...models.keys, ...registry.everKnown()].some(key => serves(metadata, key));
  const foreign = createForeignObjects(isOurs);
  const cluster = createClusterDriver(apiServer, namespace, foreign, installation.bystanders.names);
  let processes = createProcessDriver(replicas, lane.parts, faults);
  const neighboursProcesses = createProcessDriver(neighbour?.replicas ?? [], {}, faults);
  let failedStarts = 0;
  const closed = new AbortController();
  for (const replica of replicas) void keepLive(replica, closed.signal, () => processes.restart(replica));
  for (const replica of neighbour?.replicas ?? [])
    void keepLive(replica, closed.signal, () => neighboursProcesses.restart(replica));

  const performer = createPerformer({
    ...{ registry, cluster, relay, mlflowProxy, apiServerProxy, installation, tagKey },
    bystanders: models.keys,
    registries: { own: lane.trackingUri, empty: lane.emptyTrackingUri },
    current: () => ({ faults, processes }),
  });

  for (const key of models.formerly) await cluster.createAsFormerListener(key, BYSTANDERS_SOURCE);
  const all = installations.flatMap(one => one.replicas);
  await Promise.all(all.map(replica => replica.start()));
  await Promise.all(installations.map(({ bystanders }) => bystanders.remember()));
  await Promise.all([cluster.takeOver(models.paused, "pause"), cluster.takeOver(models.released, "release")]);
  await openRegistry(lane.trackingUri).deleteTag(models.released, tagKey);
  await waitFor("the webhook", () =>
    endpoints.some(({ logged }) => logged.some(({ msg }) => msg === "Webhook registered and proven"))
      ? true
      : undefined,
  );

  return {
    replicas: all,
    watchers: installations.map(({ watcher }) => watcher),
    get faults() {
      return faults;
    },

    async judge() {
      const [ours, theirs] = await Promise.all([
        installation.oracle.judge(foreign),
        neighbour?.oracle.judge({ all: [], hasWritten: () => false }),
      ]);
      return { ...ours, differences: [...ours.differences, ...(theirs?.differences ?? [])] };
    },

    foreignDeletions: () => installation.oracle.foreignDeletions(),

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
          const outcome = (await performer.perform(operation)) ? "done" : "missed";
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
      const replaced = await Promise.all(installations.map(({ bystanders }) => bystanders.replaced()));
      const crashes = all.reduce((sum, replica) => sum + replica.crashes, 0) - failedStarts;
      const unexpected = all.flatMap(({ logged, logFile }) =>
        logged.filter(({ msg }) => msg?.includes("Unexpected error")).map(({ msg }) => `${logFile}: ${msg}`),
      );
      return [
        ...performer.accepted,
        ...unexpected,
        ...replaced.flat().map(name => `${name}, which nobody touched, was deleted`),
        ...(crashes > 0 ? [`${crashes} times a replica ended by itself`] : []),
      ];
    },

    async close() {
      closed.abort();
      faults.end();
      await Promise.all(all.map(replica => replica.kill()));
      await Promise.all([
        deleteWebhooks(lane.emptyTrackingUri, namespace),
        deleteWebhooks(lane.trackingUri, namespace)
          .then(() => deleteWebhooks(lane.trackingUri, neighbourOf(namespace)))
          .then(() => Promise.all(models.models.map(model => deleteModel(lane.trackingUri, model))))
          .then(() => registry.deleteAll()),
      ]);
      relay.close();
      mlflowProxy.close();
      await apiServerProxy.close();
      const namespaces = [namespace, ...(hasNeighbour ? [neighbourOf(namespace)] : [])];
      await lane.kubectl(["delete", "namespace", ...namespaces, "--wait=false"]);
    },
  };
}

/** Another installation: no faults meet it, and nobody but MLflow's users disturbs it. */
async function openNeighbour(
  lane: Lane,
  apiServer: ApiServer,
  beside: string,
  tagKey: string,
  models: BystandingModels,
): Promise<Installation> {
  const namespace = neighbourOf(beside);
  await lane.kubectl(["create", "namespace", namespace]);
  const { kubeconfig, trackingUri: mlflowUrl } = lane;
  const addresses = { namespace, tagKey, mlflowUrl, kubeconfig, secret: `${SECRET}, the other one` };
  return await createInstallation(lane, apiServer, addresses, 1, models);
}

function neighbourOf(namespace: string): string {
  return `${namespace}-b`;
}
