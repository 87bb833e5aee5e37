import { randomBytes } from "node:crypto";
import { copyFileSync, existsSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Certificates } from "./certificates";
import { LOOPBACK, loopbackName } from "./host-name";
import { freePort } from "./ports";
import { checkPrerequisites } from "./prerequisites";
import { answersOk } from "./probe";
import type { Part, PartDefinition } from "./processes";
import { emptyDatabaseOf, pythonEnvironment } from "./python";
import { Run } from "./run";

/** How one more MLflow server is to be. */
export interface MlflowOptions {
  /** Settings on top of the testbed's own (see mlflowEnvironment). */
  readonly environment?: Readonly<Record<string, string>>;
  /** The interpreter with MLflow, as `testbed.python` has it; found or made when left out. */
  readonly python?: string;
  /** Where its log goes; a new folder when left out. */
  readonly logDirectory?: string;
  /** SQLite file to use, which stays when the server ends; one of its own when left out. */
  readonly database?: string;
  /** Where it puts artifacts: a URI; a folder of its own when left out. */
  readonly artifactsDestination?: string;
  /** A free one when left out. */
  readonly port?: number;
  /** Further arguments of `mlflow server`. */
  readonly arguments?: readonly string[];
  /** Serves HTTPS, to clients alone that show a certificate of the same authority; at 127.0.0.1. */
  readonly certificates?: Certificates;
  /** Server processes; MLflow's default, four, when left out. */
  readonly workers?: number;
  readonly progress?: (message: string) => void;
}

/** An MLflow server that answers. */
export interface MlflowServer {
  /**
   * Its base URL, http://<name>:<port>: by a name where the machine has one that leads to loopback, as MLflow is called in a
   * cluster, and MLflow is told to allow it. http://127.0.0.1:<port> where not, or where the options say what is allowed;
   * https://127.0.0.1:<port> with certificates.
   */
  readonly trackingUri: string;
  readonly part: Part;
  /** File with all that it writes. */
  readonly logFile: string;
}

const extraRuns = new Set<Run>();

/**
 * Starts one more MLflow server with a port, database and environment of its own. It ends with its part's stop(), with
 * the testbed's stop() in the same process, or with the process.
 * @throws when it does not become ready; the message has the end of its log
 */
export async function startMlflow(options: MlflowOptions = {}): Promise<MlflowServer> {
  const progress = options.progress ?? (() => undefined);
  const python = options.python ?? (await findPython(progress));
  const run = new Run(progress, options.logDirectory);
  extraRuns.add(run);
  try {
    return await startMlflowServer(run, python, options);
  } catch (error) {
    await run.stop();
    throw error;
  }
}

/** Ends every server that startMlflow started in this process. */
export async function stopExtraMlflowServers(): Promise<void> {
  await Promise.all([...extraRuns].map(run => run.stop()));
  extraRuns.clear();
}

async function findPython(progress: (message: string) => void): Promise<string> {
  const found = await checkPrerequisites({ go: false, kubectl: false });
  return (await pythonEnvironment(found.python, progress)).python;
}

/**
 * The event loop that MLflow has by itself: uvloop is only there because MLServer is in the same environment. And a machine
 * that is busy for some seconds is no reason to kill its processes.
 */
const UVICORN_OPTIONS = "--loop asyncio --timeout-worker-healthcheck 60";

/** Starts the MLflow server of a run. */
export async function startMlflowServer(
  run: Run,
  python: string,
  {
    environment,
    workers,
    certificates,
    ...options
  }: Pick<
    MlflowOptions,
    "certificates" | "environment" | "arguments" | "workers" | "database" | "artifactsDestination" | "port"
  >,
): Promise<MlflowServer> {
  const port = options.port ?? (await freePort());
  const isNamed = environment?.MLFLOW_SERVER_ALLOWED_HOSTS === undefined && certificates === undefined;
  const host = isNamed ? await loopbackName() : LOOPBACK;
  const trackingUri = `${certificates === undefined ? "http" : "https"}://${host}:${port}`;
  // Copied only now: a server that is started again goes on with what it had.
  const database = options.database ?? join(run.directory, "mlflow.db");
  if (!existsSync(database) && existsSync(emptyDatabaseOf(python))) copyFileSync(emptyDatabaseOf(python), database);
  const logName = existsSync(join(run.logDirectory, "mlflow.log")) ? `mlflow-${port}` : "mlflow";
  const definition: PartDefinition = {
    name: "mlflow",
    command: python,
    arguments: [
      ...["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", String(port)],
      ...["--backend-store-uri", `sqlite:///${database}`],
      ...["--artifacts-destination", options.artifactsDestination ?? join(run.directory, "artifacts")],
      ...["--uvicorn-opts", UVICORN_OPTIONS + secureOptions(run.directory, certificates)],
      ...(workers === undefined ? [] : ["--workers", String(workers)]),
      ...(options.arguments ?? []),
    ],
    environment: { ...mlflowEnvironment(), ...hostPolicy(host, port), PATH: pathWith(dirname(python)), ...environment },
    directory: run.directory,
    logName,
    isReady: () => answersOk(`${trackingUri}/health`, certificates?.authority.certificate, certificates?.administrator),
    readyWithinSeconds: 240,
  };
  const part = await run.start(definition);
  return { trackingUri, part, logFile: join(run.logDirectory, `${logName}.log`) };
}

function secureOptions(directory: string, certificates: Certificates | undefined): string {
  if (certificates === undefined) return "";
  const { server, authority } = certificates;
  const file = (name: string, text: string): string => {
    const path = join(directory, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const own = `--ssl-certfile ${file("mlflow.crt", server.certificate)} --ssl-keyfile ${file("mlflow.key", server.privateKey)}`;
  // 2: ssl.CERT_REQUIRED.
  return ` ${own} --ssl-ca-certs ${file("clients.crt", authority.certificate)} --ssl-cert-reqs 2`;
}

/**
 * As README.md says to set it where MLflow is called by a name. Some tests put a proxy before MLflow, by its address. The
 * web page sends its Origin along, and MLflow takes no change from one that it was not told of.
 */
function hostPolicy(host: string, port: number): Record<string, string> {
  if (host === LOOPBACK) return {};
  return {
    MLFLOW_SERVER_ALLOWED_HOSTS: `${host}:${port},localhost:*,127.0.0.1:*`,
    MLFLOW_SERVER_CORS_ALLOWED_ORIGINS: `http://${host}:${port}`,
  };
}

/** What an MLflow server needs in order to deliver webhooks to this machine, as a fresh set of variables. */
export function mlflowEnvironment(): Record<string, string> {
  // Each server process of MLflow would make its own key, and could not read a secret that another one encrypted.
  const key = randomBytes(32).toString("base64url") + "=";
  const webhooks = {
    MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY: key,
    MLFLOW_WEBHOOK_ALLOWED_SCHEMES: "http,https",
    MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS: "true",
    MLFLOW_WEBHOOK_CACHE_TTL: "1", // seconds until a new webhook is noticed
  };
  // Other versions of MLflow read some of these names with an underscore before them.
  const underscored = Object.entries(webhooks).map(([name, value]) => [`_${name}`, value] as const);
  return {
    ...webhooks,
    ...Object.fromEntries(underscored),
    MLFLOW_DISABLE_TELEMETRY: "true",
    DO_NOT_TRACK: "true",
    // Background jobs (scoring of traces, of no concern here) are eight more processes and half a minute of CPU time.
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION: "false",
  };
}

function pathWith(directory: string): string {
  return `${directory}:${process.env.PATH ?? ""}`;
}
