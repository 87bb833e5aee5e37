import { spawn } from "node:child_process";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { constants } from "node:os";
import { forgetGroup, watchGroup } from "../watchdog";
import type { Termination } from "./pod-status";

/** Bytes of a log's end that become the termination message, as a kubelet has it. */
const MESSAGE_SIZE = 2048;
const MESSAGE_LINES = 80;

/** What it takes to run a container's process. */
export interface ProcessSpecification {
  readonly command: string;
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly directory: string;
  /** File that gets its output, after what is there already. */
  readonly log: string;
  /** Whether the end of its output is its termination message when it fails. */
  readonly messageFromLog: boolean;
}

/** A container's process, with all that it started itself. */
export interface ContainerProcess {
  /** Resolved when it has ended. */
  readonly ended: Promise<Termination>;
  /** SIGTERM, and SIGKILL after a while; returns when it is gone. */
  stop: (graceSeconds: number) => Promise<void>;
}

/** Starts a container's process in a process group of its own. */
export function startProcess(specification: ProcessSpecification): ContainerProcess {
  const { command, arguments: args, environment, directory, log, messageFromLog } = specification;
  const output = openSync(log, "a");
  const from = fstatSync(output).size;
  const startedAt = Date.now();
  const child = spawn(command, args, {
    cwd: directory,
    env: environment,
    detached: true,
    stdio: ["ignore", output, output],
  });
  closeSync(output);
  const { pid } = child;
  if (pid !== undefined) watchGroup(pid);
  const signalAll = (signal: NodeJS.Signals): void => {
    try {
      if (pid !== undefined) process.kill(-pid, signal);
    } catch {
      // Nobody is left in the group.
    }
  };
  const ended = new Promise<Termination>(resolve => {
    const end = (exitCode: number, signal: number | undefined, problem?: string): void => {
      signalAll("SIGKILL"); // workers that outlived their parent
      if (pid !== undefined) forgetGroup(pid);
      const message = exitCode === 0 ? "" : (problem ?? (messageFromLog ? endOfLog(log, from) : ""));
      resolve({
        exitCode,
        ...(signal !== undefined && { signal }),
        message,
        startedAt,
        finishedAt: Date.now(),
      });
    };
    child.once("error", error => {
      end(128, undefined, error.message);
    });
    child.once("exit", (code, signal) => {
      const number = signal ? constants.signals[signal] : undefined;
      end(code ?? 128 + (number ?? 0), number);
    });
  });
  return {
    ended,
    async stop(graceSeconds) {
      // The leader alone, as with a container's first process: it is the one that ends its workers.
      if (pid !== undefined && child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
      const timer = setTimeout(() => {
        signalAll("SIGKILL");
      }, graceSeconds * 1000);
      await ended;
      clearTimeout(timer);
    },
  };
}

function endOfLog(file: string, from: number): string {
  const descriptor = openSync(file, "r");
  const { size } = fstatSync(descriptor);
  const start = Math.max(from, size - MESSAGE_SIZE);
  const buffer = Buffer.alloc(size - start);
  readSync(descriptor, buffer, 0, buffer.length, start);
  closeSync(descriptor);
  return buffer.toString("utf8").split("\n").slice(-MESSAGE_LINES).join("\n");
}
