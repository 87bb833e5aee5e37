import { randomBytes } from "node:crypto";
import type { Kubectl } from "../testbed/kubectl";
import { registerAdmission } from "./admission-webhooks";
import { installPeprStore } from "./pepr-store";
import { createReplica, declaredBindings } from "./replica";
import type { LogLine, Replica, ReplicaRole } from "./replica";
import { waitFor } from "./waiting";

/** Milliseconds that a process may take to end when it is asked to. */
const END_TIMEOUT = 10_000;

/** The level, as Pino numbers it, of what ended a process. */
const FATAL = 60;

/** The module at work in two processes, as its two Deployments have it: one takes deliveries, one polls and watches. */
export interface ModuleProcess {
  /** Base URL of the one that polls, which serves the status page. */
  readonly watcherUrl: string;
  /** Everything that both logged so far. */
  readonly logged: () => readonly LogLine[];
  /** Waits for a line of the log, one that is already there included. @throws Error when a process ended */
  waitForLine: (what: string, matches: (line: LogLine) => boolean, timeout?: number) => Promise<LogLine>;
  /** Ends it, and takes out of the cluster what was put there for it. */
  stop: () => Promise<void>;
}

export interface ModuleOptions {
  readonly kubectl: Kubectl;
  readonly kubeconfig: string;
  readonly logDirectory: string;
  /** The port of the endpoint that takes deliveries. */
  readonly port: number;
  /** What it is called in the cluster; an installation is called mlflow-kserve. */
  readonly name: string;
  /** Where its InferenceServices go; the namespace must be there. */
  readonly namespace: string;
  /** Settings without their prefix, beyond those above. */
  readonly settings: Readonly<Record<string, string>>;
  /** Whether the API server can reach this machine's loopback, and so ask for admission. */
  readonly admission: boolean;
}

/**
 * Starts the module against a cluster, bundled as `pepr build` does it and under Pepr's runtime, and waits until it works.
 *
 * @throws Error when it ends or does not get ready
 */
export async function startModule(options: ModuleOptions): Promise<ModuleProcess> {
  const { kubectl, kubeconfig, logDirectory, namespace, name } = options;
  const apiPath = randomBytes(16).toString("hex");
  const create = (role: ReplicaRole): Promise<Replica> =>
    createReplica({
      name: `module-${role}-${name}`,
      role,
      kubeconfig,
      logDirectory,
      settings: {
        KUBE_NAMESPACE: namespace,
        WEBHOOK_PODS_URL: `http://127.0.0.1:${options.port}`,
        ...options.settings,
      },
      environment: { REPLICA_UUID: name, PEPR_API_PATH: apiPath },
      ...(role === "endpoint" && { port: options.port }),
    });
  const endings: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of endings.splice(0).reverse()) await end();
  };
  try {
    await installPeprStore(kubectl, kubeconfig);
    endings.push(() => removeStores(kubectl, name));
    const replicas = await Promise.all([create("endpoint"), create("watcher")]);
    endings.push(() => Promise.all(replicas.map(end)));
    await Promise.all(replicas.map(replica => replica.start().then(() => replica.ready())));
    if (options.admission) {
      const [{ peprUrl: url, authority }] = replicas;
      const target = { name: `pepr-${name}`, namespace, url, apiPath, authority };
      endings.push(await registerAdmission(kubectl, await declaredBindings(logDirectory), target));
    }
    return moduleOf(replicas, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

function moduleOf(replicas: readonly [Replica, Replica], stop: () => Promise<void>): ModuleProcess {
  const logged = (): readonly LogLine[] => replicas.flatMap(replica => replica.logged);
  const [, { url: watcherUrl }] = replicas;
  return {
    watcherUrl,
    logged,
    async waitForLine(what, matches, timeout) {
      const seen = await waitFor(
        what,
        () => {
          const line = logged().find(matches);
          if (line) return { line };
          const ended = replicas.find(({ pid }) => pid === undefined);
          return ended && { ended };
        },
        timeout,
      );
      if (seen.line) return seen.line;
      const { logFile, logged: lines } = seen.ended;
      const last = lines.findLast(({ level }) => level === FATAL) ?? lines.at(-1);
      throw new Error(`${what}: a process of the module ended (log: ${logFile}): ${last?.msg ?? "it said nothing"}`);
    },
    stop,
  };
}

/** Asks a process to end, and ends it when it does not. */
async function end(replica: Replica): Promise<void> {
  const killer = setTimeout(() => void replica.kill(), END_TIMEOUT);
  await replica.terminate();
  clearTimeout(killer);
}

/** Removes what Pepr keeps of a module in the cluster. */
async function removeStores(kubectl: Kubectl, name: string): Promise<void> {
  const stores = [`pepr-${name}-store`, `pepr-${name}-schedule`];
  await kubectl(["delete", "peprstores.pepr.dev", "-n", "pepr-system", "--ignore-not-found", ...stores]);
}
