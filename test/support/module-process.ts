import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createWriteStream } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { forgetGroup, watchGroup } from "../testbed/watchdog";
import { createLogReader } from "./module-log";
import type { LogEntry } from "./module-log";
import { waitFor } from "./waiting";
import { createWorkingCopy } from "./working-copy";

/** The port of the admission webhooks, which `pepr dev` gives no choice about. */
const ADMISSION_PORT = 3000;

/** Milliseconds for type check, bundling and the first connection to the cluster. */
const START_TIMEOUT = 300_000;

/** The module, run by Pepr's own development mode as its author runs it. */
export interface ModuleProcess {
  /** Everything logged so far, with our clock's time (Unix milliseconds) when it was read. */
  readonly entries: readonly (LogEntry & { readonly readAt: number })[];
  /** All that it printed so far, as it came. */
  readonly output: () => string;
  /** Waits for a log entry, one that is already there included. */
  waitForEntry: (what: string, matches: (entry: LogEntry) => boolean, timeout?: number) => Promise<LogEntry>;
  /** Ends it; `pepr dev` takes its webhooks out of the cluster. */
  stop: () => Promise<void>;
}

/**
 * Starts the module with `pepr dev` against a cluster and waits until it works.
 *
 * @param settings environment variables of the module
 * @throws Error when it ends or does not get ready, with the last lines of its log
 */
export async function startModule(options: {
  readonly kubeconfig: string;
  readonly logDirectory: string;
  readonly settings: Readonly<Record<string, string>>;
}): Promise<ModuleProcess> {
  await checkPortIsFree(ADMISSION_PORT);
  // Pepr checks and lints all TypeScript that it finds, which with the tests takes most of a minute.
  const copy = createWorkingCopy();
  const logFile = path.join(options.logDirectory, "module.log");
  const log = createWriteStream(logFile, { flags: "a" });
  // Pepr's certificate takes the host for a DNS name: with an IP address the API server would not trust it, and, the
  // failure policy being Ignore, admission would silently not happen.
  const pepr = path.resolve("node_modules/pepr/dist/cli.js");
  const child = spawn(process.execPath, [pepr, "dev", "--host", "localhost", "--yes"], {
    cwd: copy.directory,
    // A process group of its own, since pepr forks the module.
    detached: true,
    env: { ...process.env, KUBECONFIG: options.kubeconfig, ...options.settings },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const { pid } = child;
  if (pid === undefined) throw new Error("pepr dev could not be started");
  watchGroup(pid);

  const entries: (LogEntry & { readAt: number })[] = [];
  const read = createLogReader(entry => {
    entries.push({ ...entry, readAt: Date.now() });
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      log.write(text);
      read(text);
    });
  }
  const ended = new Promise<void>(resolve => {
    child.once("close", () => {
      resolve();
    });
  });
  void ended.then(() => {
    forgetGroup(pid);
  });
  const module: ModuleProcess = {
    entries,
    output: () => output,
    async waitForEntry(what, matches, timeout) {
      const seen = await waitFor(
        what,
        () => {
          const entry = entries.find(matches);
          if (entry) return { entry };
          // Pepr's own process lives on when the module has ended.
          const fatal = entries.find(({ level }) => level === "FATAL");
          return fatal || hasEnded(child) ? { end: fatal?.message ?? "The module ended" } : undefined;
        },
        timeout,
      );
      if (seen.entry) return seen.entry;
      const how = child.signalCode ?? child.exitCode ?? "no code yet";
      throw new Error(`${what}: ${seen.end} (${how}); the log is ${logFile} and ends:\n${output.slice(-3000)}`);
    },
    async stop() {
      const signal = (name: NodeJS.Signals): void => {
        try {
          process.kill(-pid, name);
        } catch {
          // Nobody is left in the group.
        }
      };
      if (!hasEnded(child)) {
        signal("SIGTERM");
        const killer = setTimeout(() => {
          signal("SIGKILL");
        }, 10_000);
        await ended;
        clearTimeout(killer);
      }
      log.end();
      copy.remove();
    },
  };
  try {
    await module.waitForEntry(
      "the module's start",
      ({ message }) => message === "Endpoint is listening",
      START_TIMEOUT,
    );
  } catch (error) {
    await module.stop();
    throw error;
  }
  return module;
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

function checkPortIsFree(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", () => {
      reject(new Error(`Port ${port} is in use, and Pepr's development mode cannot use another one: end what uses it`));
    });
    probe.listen(port, () => {
      probe.close(() => {
        resolve();
      });
    });
  });
}
