import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { KubernetesError } from "../../../capabilities/kubernetes/api-server";
import type { ApiServer } from "../../../capabilities/kubernetes/api-server";
import { PREDICTOR_NODE } from "../predictions";
import { loopbackAddress, NODE_ADDRESS, podAddress } from "./addresses";
import type { ReadKey } from "./environment";
import type { Pod } from "./pod";
import { PodRun } from "./pod-run";
import { podStatus } from "./pod-status";
import type { Installed } from "./programs";

/** Milliseconds between two looks at what is to run here. */
const LOOK_INTERVAL = 200;

/** Milliseconds between two signs of life; the control plane gives a node up after forty seconds. */
const LEASE_INTERVAL = 10_000;

export interface NodeOptions {
  readonly apiServer: ApiServer;
  readonly installed: Installed;
  /** The folder for what pods have on disk. */
  readonly directory: string;
  readonly logDirectory: string;
  readonly log: (message: string) => void;
}

/**
 * A node that runs the pods bound to it as processes on loopback: as much of a kubelet as a predictor of KServe's needs.
 * What it runs, with which arguments and variables, and when it counts as ready, is what the pod's specification says.
 */
export class PredictorNode {
  readonly #running = new Map<string, PodRun>();
  readonly #ending = new Set<string>();
  #podsSoFar = 0;

  constructor(private readonly options: NodeOptions) {}

  /** Registers the node and serves it for ever. */
  async serve(onReady: () => void): Promise<never> {
    await this.#register();
    onReady();
    for (let signOfLife = Date.now(); ; ) {
      try {
        if (Date.now() - signOfLife > LEASE_INTERVAL) {
          await this.#renewLease();
          signOfLife = Date.now();
        }
        const pods = await this.#podsBoundHere();
        for (const pod of pods) this.#handle(pod);
        this.#endAllBut(new Set(pods.map(({ metadata }) => metadata.uid)));
      } catch (error) {
        this.options.log(`The API server: ${String(error)}`);
      }
      await sleep(LOOK_INTERVAL);
    }
  }

  #handle(pod: Pod): void {
    const { uid } = pod.metadata;
    if (pod.metadata.deletionTimestamp !== undefined) {
      if (this.#ending.has(uid)) return;
      this.#ending.add(uid);
      void this.#end(pod).catch((error: unknown) => {
        this.options.log(`${pod.metadata.name} could not be ended: ${String(error)}`);
        this.#ending.delete(uid);
      });
    } else if (!this.#running.has(uid)) {
      this.#start(pod);
    }
  }

  // Pods that were deleted by force, without waiting for their node.
  #endAllBut(there: ReadonlySet<string>): void {
    for (const [uid, { pod }] of this.#running) if (!there.has(uid)) this.#handle(deleted(pod));
  }

  #start(pod: Pod): void {
    const { name, namespace, uid } = pod.metadata;
    const address = podAddress(this.#podsSoFar++);
    const place = { podAddress: address, nodeAddress: NODE_ADDRESS, startTime: Date.now() };
    const report = inTurn(async () => {
      await this.#patchStatus(pod, podStatus(pod, run.records, place, Date.now()));
    }, this.options.log);
    const run = new PodRun(pod, {
      installed: this.options.installed,
      readKey: this.#readKey,
      podAddress: address,
      loopbackAddress: loopbackAddress(address),
      directory: join(this.options.directory, uid),
      logDirectory: this.options.logDirectory,
      onChange: report,
    });
    this.#running.set(uid, run);
    this.options.log(`${namespace}/${name} starts at ${address}, here ${loopbackAddress(address)}`);
    report();
    run.run().catch((error: unknown) => {
      this.options.log(`${namespace}/${name} cannot be run: ${String(error)}`);
    });
  }

  async #end({ metadata: { name, namespace, uid } }: Pod): Promise<void> {
    await this.#running.get(uid)?.stop();
    this.#running.delete(uid);
    const options = { gracePeriodSeconds: 0, preconditions: { uid } };
    const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
    await this.options.apiServer({ method: "DELETE", path, body: options }).catch(unlessGone);
    this.options.log(`${namespace}/${name} has ended`);
  }

  async #patchStatus({ metadata: { name, namespace, uid } }: Pod, status: Record<string, unknown>): Promise<void> {
    const path = `/api/v1/namespaces/${namespace}/pods/${name}/status`;
    const body = { metadata: { uid }, status };
    const contentType = "application/merge-patch+json";
    await this.options.apiServer({ method: "PATCH", path, contentType, body }).catch(unlessGone);
  }

  async #podsBoundHere(): Promise<readonly Pod[]> {
    // From the API server's memory, not etcd's disk.
    const query = { fieldSelector: `spec.nodeName=${PREDICTOR_NODE.name}`, resourceVersion: "0" };
    const { body } = await this.options.apiServer({ method: "GET", path: "/api/v1/pods", query });
    return (body as { items: Pod[] }).items;
  }

  readonly #readKey: ReadKey = async (kind, namespace, { name, key }) => {
    const path = `/api/v1/namespaces/${namespace}/${kind}/${name}`;
    const answer = await this.options.apiServer({ method: "GET", path }).catch((error: unknown) => {
      if (error instanceof KubernetesError && error.status === 404) return undefined;
      throw error;
    });
    const value = (answer?.body as { data?: Record<string, string> } | undefined)?.data?.[key];
    return value !== undefined && kind === "secrets" ? Buffer.from(value, "base64").toString("utf8") : value;
  };

  async #register(): Promise<void> {
    const now = new Date().toISOString();
    const capacity = { cpu: "1000", memory: "10Ti", pods: "1000" };
    const node = {
      apiVersion: "v1",
      kind: "Node",
      metadata: {
        name: PREDICTOR_NODE.name,
        labels: { "kubernetes.io/hostname": PREDICTOR_NODE.name, ...PREDICTOR_NODE.labels },
      },
      spec: { taints: [PREDICTOR_NODE.taint] },
      status: {
        capacity,
        allocatable: capacity,
        addresses: [{ type: "InternalIP", address: NODE_ADDRESS }],
        conditions: [
          {
            type: "Ready",
            status: "True",
            reason: "NodeReady",
            message: "runs predictors as processes",
            lastHeartbeatTime: now,
            lastTransitionTime: now,
          },
        ],
      },
    };
    await this.options.apiServer({ method: "POST", path: "/api/v1/nodes", body: node }).catch(unlessStatus(409)); // it was registered before this process was started again
    await this.#renewLease();
  }

  async #renewLease(): Promise<void> {
    const namespace = "kube-node-lease";
    const lease = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name: PREDICTOR_NODE.name, namespace },
      spec: {
        holderIdentity: PREDICTOR_NODE.name,
        leaseDurationSeconds: 40,
        renewTime: new Date().toISOString().replace("Z", "000Z"),
      },
    };
    await this.options.apiServer({
      method: "PATCH",
      path: `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${PREDICTOR_NODE.name}`,
      query: { fieldManager: PREDICTOR_NODE.name, force: "true" },
      contentType: "application/apply-patch+yaml",
      body: lease,
    });
  }
}

function deleted(pod: Pod): Pod {
  return { ...pod, metadata: { ...pod.metadata, deletionTimestamp: new Date().toISOString() } };
}

/** Runs a task at most once at a time, and once more when it was asked for meanwhile. Failures are tried again. */
function inTurn(task: () => Promise<void>, log: (message: string) => void): () => void {
  let busy = false;
  let again = false;
  const work = async (): Promise<void> => {
    for (busy = true; ; ) {
      again = false;
      try {
        await task();
      } catch (error) {
        log(String(error));
        again = true;
        await sleep(1000);
      }
      if (!again) break;
    }
    busy = false;
  };
  return () => {
    again = true;
    if (!busy) void work();
  };
}

// The object went away meanwhile, or another of the same name took its place.
function unlessGone(error: unknown): void {
  if (!(error instanceof KubernetesError && [404, 409].includes(error.status))) throw error;
}

function unlessStatus(status: number): (error: unknown) => void {
  return error => {
    if (!(error instanceof KubernetesError && error.status === status)) throw error;
  };
}
