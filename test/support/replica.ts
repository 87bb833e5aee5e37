import { fork, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import path from "node:path";
import { createInterface } from "node:readline";
import packageJson from "../../package.json";
import { createCertificates } from "../testbed/certificates";
import { freePort } from "../testbed/ports";
import { cleanEnvironment } from "../testbed/processes";
import { forgetGroup, watchGroup } from "../testbed/watchdog";
import type { Binding } from "./admission-webhooks";
import { bundleForNode } from "./replica-bundle";
import { waitFor } from "./waiting";

/** A line of a replica's log, as it writes it in a cluster (JSON). */
export type LogLine = Readonly<Record<string, unknown>> & { readonly msg?: string };

/** One copy of the module in a process of its own: the role of one pod that Pepr's Deployments make. */
export interface Replica {
  readonly role: ReplicaRole;
  /** undefined while it does not run. */
  readonly pid: number | undefined;
  /** Base URL of its endpoint, the same after a restart. */
  readonly url: string;
  /** How the API server asks it about admission, as `clientConfig` of a webhook says it; path is the kind of question. */
  readonly admission: (path: "validate" | "mutate") => { readonly url: string; readonly caBundle: string };
  /** Base URL of Pepr's own server, which answers admission requests and probes. */
  readonly peprUrl: string;
  /** PEM text of the authority that signed that server's certificate. */
  readonly authority: string;
  /** All that it logged, of all its lives. */
  readonly logged: readonly LogLine[];
  /** File with all that it wrote. */
  readonly logFile: string;
  /** How often it ended without being asked to. */
  readonly crashes: number;
  /** Starts it and waits until its endpoint listens. */
  start: () => Promise<void>;
  /**
   * Whether its liveness probe succeeds: Pepr has read its store then, which is when it begins to watch and to answer
   * admission requests.
   */
  isLive: () => Promise<boolean>;
  /** Waits until it is live. */
  ready: () => Promise<void>;
  /** Ends it at once (SIGKILL), as a node that dies. */
  kill: () => Promise<void>;
  /** Resolves when it has ended, by itself or not. @returns its exit code, or the signal that ended it */
  ended: () => Promise<number | string>;
  /** Asks it to end (SIGTERM), as the kubelet does. @returns its exit code, or the signal that ended it */
  terminate: () => Promise<number | string>;
}

/** "watcher" polls and follows the cluster; "endpoint" takes deliveries. */
export type ReplicaRole = "watcher" | "endpoint";

export interface ReplicaOptions {
  readonly name: string;
  readonly role: ReplicaRole;
  readonly kubeconfig: string;
  readonly logDirectory: string;
  /** The endpoint's port; one that is free when left out. */
  readonly port?: number;
  /** Settings without their prefix, beyond those about the endpoint's address; read anew at each start. */
  readonly settings: Readonly<Record<string, string>>;
  /** Variables for the process itself. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Node's own options, for example `--expose-gc`. */
  readonly nodeOptions?: readonly string[];
}

const REPLICA_MAIN = "test/support/replica-main.ts";

const START_TIMEOUT = 60_000;

/** Milliseconds, as in Kubernetes when a probe does not say it. */
const PROBE_TIMEOUT = 1_000;

/** What Pepr makes secret, so that only the API server asks. */
const API_PATH = "replica";

interface Prepared {
  readonly bundle: string;
  readonly tlsCertificate: string;
  readonly tlsKey: string;
  /** The certificate authority's, in PEM. */
  readonly authority: string;
}

let prepared: Promise<Prepared> | undefined;

/** What all replicas of this process share: the bundle, and a certificate for Pepr's own server. */
function prepare(directory: string): Promise<Prepared> {
  prepared ??= (async () => {
    const [bundle, { authority, server }] = await Promise.all([bundleForNode(REPLICA_MAIN), createCertificates()]);
    mkdirSync(directory, { recursive: true });
    // Other test files, which run at the same time, have another authority.
    const identity = path.join(directory, `replica-${randomUUID()}`);
    const [tlsCertificate, tlsKey] = [`${identity}.crt`, `${identity}.key`];
    writeFileSync(tlsCertificate, server.certificate);
    writeFileSync(tlsKey, server.privateKey, { mode: 0o600 });
    return { bundle, tlsCertificate, tlsKey, authority: authority.certificate };
  })();
  return prepared;
}

/** The actions that the module declares, as `pepr build` learns of them: a process of it tells them and does no work. */
export async function declaredBindings(logDirectory: string): Promise<readonly Binding[]> {
  const { bundle } = await prepare(logDirectory);
  const child = fork(bundle, { env: { ...cleanEnvironment(), PEPR_MODE: "build" }, silent: true });
  const [capabilities] = (await once(child, "message")) as [readonly { readonly bindings: readonly Binding[] }[]];
  child.kill();
  return capabilities.flatMap(({ bindings }) => bindings);
}

/** Makes a replica that does not run yet; whoever makes it ends it. The cluster needs {@link installPeprStore} before. */
export async function createReplica(options: ReplicaOptions): Promise<Replica> {
  const { name, role, kubeconfig, logDirectory } = options;
  const { bundle, tlsCertificate, tlsKey, authority } = await prepare(logDirectory);
  const logFile = path.join(logDirectory, `${name}.log`);
  const [port, peprPort] = [options.port ?? (await freePort()), await freePort()];
  const url = `http://127.0.0.1:${port}`;
  const logged: LogLine[] = [];
  let crashes = 0;
  let asked = false;
  let lastEnd: Promise<number | string> = Promise.resolve("not running");
  let child: { pid: number; ended: Promise<number | string> } | undefined;

  const take = (line: string): void => {
    appendFileSync(logFile, `${line}\n`);
    try {
      logged.push(JSON.parse(line) as LogLine);
    } catch {
      logged.push({ msg: line });
    }
  };

  const launch = (): { pid: number; ended: Promise<number | string> } => {
    const settings = { APP_HOST: "127.0.0.1", APP_PORT: String(port), ...options.settings };
    const started = spawn(process.execPath, [...(options.nodeOptions ?? []), bundle], {
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...cleanEnvironment(),
        KUBECONFIG: kubeconfig,
        PEPR_WATCH_MODE: String(role === "watcher"),
        ...packageJson.pepr.env,
        PEPR_RESYNC_DELAY_SECONDS: "1",
        PEPR_API_PATH: API_PATH,
        REPLICA_PEPR_PORT: String(peprPort),
        SSL_CERT_PATH: tlsCertificate,
        SSL_KEY_PATH: tlsKey,
        ...Object.fromEntries(Object.entries(settings).map(([key, value]) => [`MLFLOW_KSERVE_${key}`, value])),
        ...options.environment,
      },
    });
    const { pid } = started;
    if (pid === undefined) throw new Error(`The replica ${name} could not be started`);
    watchGroup(pid);
    for (const stream of [started.stdout, started.stderr]) createInterface({ input: stream }).on("line", take);
    const ended = new Promise<number | string>(resolve => {
      started.once("close", (code, signal) => {
        forgetGroup(pid);
        if (!asked) crashes++;
        child = undefined;
        resolve(signal ?? code ?? "unknown");
      });
    });
    lastEnd = ended;
    return { pid, ended };
  };

  const end = async (signal: NodeJS.Signals): Promise<number | string> => {
    if (child === undefined) return "not running";
    asked = true;
    const { pid, ended } = child;
    try {
      process.kill(pid, signal);
    } catch {
      // It ended by itself a moment ago.
    }
    return await ended;
  };

  return {
    role,
    url,
    peprUrl: `https://127.0.0.1:${peprPort}`,
    authority,
    logged,
    logFile,
    get pid() {
      return child?.pid;
    },
    get crashes() {
      return crashes;
    },
    async start() {
      const from = logged.length;
      asked = false;
      child ??= launch();
      await waitFor(
        `the endpoint of ${name} (log: ${logFile})`,
        () => {
          if (child === undefined) throw new Error(`It ended: ${JSON.stringify(logged.at(-1))}`);
          return logged.slice(from).some(({ msg }) => msg === "Endpoint is listening") || undefined;
        },
        START_TIMEOUT,
      );
    },
    admission: path => ({
      url: `https://127.0.0.1:${peprPort}/${path}/${API_PATH}`,
      caBundle: Buffer.from(authority).toString("base64"),
    }),
    isLive: () => answersProbe(peprPort),
    async ready() {
      await waitFor(
        `Pepr's part of ${name} (log: ${logFile})`,
        async () => (await answersProbe(peprPort)) || undefined,
        START_TIMEOUT,
      );
    },
    async kill() {
      await end("SIGKILL");
    },
    ended: () => lastEnd,
    terminate: () => end("SIGTERM"),
  };
}

/** The kubelet's probe of Pepr's own server. */
function answersProbe(port: number): Promise<boolean> {
  return new Promise(resolve => {
    // The kubelet does not look at the certificate either.
    const target = { host: "127.0.0.1", port, path: "/healthz", rejectUnauthorized: false };
    const asked = request({ ...target, timeout: PROBE_TIMEOUT }, answer => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    asked.once("timeout", () => asked.destroy());
    asked.once("error", () => {
      resolve(false);
    });
    asked.end();
  });
}
