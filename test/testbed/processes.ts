import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { describeFailure } from "./logs";
import { sleep } from "./probe";
import { forgetGroup, watchGroup } from "./watchdog";

/** The names of the parts that a testbed can have. */
export type PartName =
  | "etcd"
  | "kube-apiserver"
  | "kube-controller-manager"
  | "kube-scheduler"
  | "kserve"
  | "kwok"
  | "predictor-node"
  | "versitygw"
  | "mlflow"
  | "forward-proxy";

/** One running server of the testbed, with all the processes it started itself. */
export interface Part {
  readonly name: PartName;
  /** The process that leads the part's process group; undefined while it is not running. */
  readonly pid: number | undefined;
  /** Asks it to end (SIGTERM), kills it after ten seconds, and waits until it is gone. */
  stop: () => Promise<void>;
  /** Kills it at once (SIGKILL). */
  kill: () => void;
  /** Freezes it (SIGSTOP): connections are accepted by the kernel, but nobody answers. */
  pause: () => void;
  /** Lets a frozen part go on. */
  resume: () => void;
  /**
   * Starts it, again on the same port with the same data, and waits until it is ready.
   * @throws when it ends, or is not ready in time; the message has the last lines of its log
   */
  start: () => Promise<void>;
}

/** What it takes to run a part. */
export interface PartDefinition {
  readonly name: PartName;
  readonly command: string;
  readonly arguments: readonly string[];
  /** Variables on top of our own environment. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly directory: string;
  /** The log file's name without ".log"; the part's name when left out. */
  readonly logName?: string;
  readonly isReady: () => Promise<boolean>;
  readonly readyWithinSeconds: number;
}

/**
 * Our environment without what would steer a part by accident: the user's own cluster, MLflow or Python settings. A proxy
 * that the machine needs stays, but not for loopback.
 */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  const steering = /^(KUBECONFIG|_?MLFLOW_.*|PYTHONPATH|PYTHONHOME|NODE_OPTIONS)$/;
  const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !steering.test(name)));
  if (!Object.keys(environment).some(name => /^(https?|all)_proxy$/i.test(name))) return environment;
  const { no_proxy: lowerCase, NO_PROXY: upperCase } = environment;
  const exceptions = [lowerCase ?? upperCase ?? "", "localhost", "127.0.0.0/8", "127.0.0.1", "::1", hostname()];
  const list = exceptions.filter(exception => exception !== "").join(",");
  return { ...environment, no_proxy: list, NO_PROXY: list };
}

/** A part as a child process, with its output in a log file. */
export class ChildPart implements Part {
  readonly name: PartName;
  readonly #logFile: string;
  #child: ChildProcess | undefined;
  #howItEnded = "";
  #killed = false;

  constructor(
    private readonly definition: PartDefinition,
    logDirectory: string,
  ) {
    this.name = definition.name;
    this.#logFile = join(logDirectory, `${definition.logName ?? definition.name}.log`);
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async start(): Promise<void> {
    // After kill() the process may need a moment to go; its port and data are free only then.
    if (this.#killed) await this.gone();
    if (!this.#child) this.#spawn();
    await this.#waitUntilReady();
  }

  async stop(): Promise<void> {
    this.#signal("SIGTERM");
    this.#signal("SIGCONT"); // a frozen process would get SIGTERM only when resumed
    const deadline = Date.now() + 10_000;
    while (this.#child && Date.now() < deadline) await sleep(20);
    this.kill();
    await this.gone();
  }

  /** Waits until it has ended. */
  async gone(): Promise<void> {
    while (this.#child) await sleep(10); // a timer, because a child alone does not keep our process alive
  }

  kill(): void {
    this.#killed = true;
    this.#signal("SIGKILL");
  }

  pause(): void {
    this.#signal("SIGSTOP");
  }

  resume(): void {
    this.#signal("SIGCONT");
  }

  #spawn(): void {
    const { command, arguments: args, environment, directory } = this.definition;
    const log = openSync(this.#logFile, "a");
    const child = spawn(command, args, {
      detached: true, // a process group of its own: signals reach its children too, and our Ctrl-C does not
      stdio: ["ignore", log, log],
      cwd: directory,
      env: { ...cleanEnvironment(), ...environment },
    });
    closeSync(log);
    child.unref();
    this.#child = child;
    this.#killed = false;
    if (child.pid !== undefined) watchGroup(child.pid);
    const end = (how: string): void => {
      this.#howItEnded = how;
      this.#child = undefined;
      if (child.pid === undefined) return;
      signalGroup(child.pid, "SIGKILL"); // children that outlived their parent
      forgetGroup(child.pid);
    };
    child.once("exit", (code, signal) => {
      end(signal ? `was ended by ${signal}` : `ended with code ${code ?? "?"}`);
    });
    child.once("error", error => {
      end(`could not be started (${error.message})`);
    });
  }

  async #waitUntilReady(): Promise<void> {
    const deadline = Date.now() + this.definition.readyWithinSeconds * 1000;
    while (!(await this.definition.isReady())) {
      if (!this.#child) throw new Error(describeFailure(this.name, this.#howItEnded, this.#logFile));
      if (Date.now() > deadline) {
        const problem = `was not ready within ${this.definition.readyWithinSeconds} s`;
        throw new Error(describeFailure(this.name, problem, this.#logFile));
      }
      await sleep(50);
    }
    if (!this.#child) throw new Error(describeFailure(this.name, this.#howItEnded, this.#logFile));
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#child?.pid !== undefined) signalGroup(this.#child.pid, signal);
  }
}

function signalGroup(leader: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-leader, signal);
  } catch {
    // Nobody is left in the group, which is what was wanted.
  }
}
