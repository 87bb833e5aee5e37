import { readdirSync, readFileSync } from "node:fs";
import { waitFor } from "../support/waiting";
import type { Replica } from "../support/replica";
import { readMetrics } from "./prometheus-text";

const BYTES_IN_MEBIBYTE = 1024 * 1024;

/** What a replica holds at one moment. Memory in MiB. */
export interface Sample {
  /** Deliveries sent until then. */
  readonly deliveries: number;
  /** Resident memory as the process left it by itself. */
  readonly residentBefore: number;
  /** Resident memory right after the process was made to collect its garbage. */
  readonly resident: number;
  /** Live objects of JavaScript after that, and the buffers that belong to them. */
  readonly heap: number;
  readonly descriptors: number;
  /** Time series that a Prometheus would get. */
  readonly series: number;
  /** Model versions that wait or are worked on. */
  readonly queue: number;
}

/** Resident memory of a process (VmRSS of Linux) in MiB. @throws when the process is gone */
export function residentMemory(pid: number): number {
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  if (kibibytes === undefined) throw new Error(`Process ${pid} is ending: it has no memory any more`);
  return Number(kibibytes) / 1024;
}

/** File descriptors that a process has open: files, sockets, pipes, timers of the event loop. @throws when it is gone */
export function openDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/**
 * Looks at a replica that was started with preload/report-memory.cjs.
 *
 * @throws when it has ended, or its /metrics do not answer
 */
export async function sampleReplica(replica: Replica, deliveries: number): Promise<Sample> {
  const pid = pidOf(replica);
  const residentBefore = residentMemory(pid);
  const from = replica.logged.length;
  process.kill(pid, "SIGUSR2");
  const collected = await waitFor("the garbage collection", () =>
    replica.logged.slice(from).find(({ msg }) => msg === "memory after garbage collection"),
  );
  const [resident, descriptors] = [residentMemory(pid), openDescriptors(pid)];
  const metrics = await readMetrics(replica.url);
  return {
    deliveries,
    residentBefore,
    resident,
    heap: (Number(collected.heapUsed) + Number(collected.external)) / BYTES_IN_MEBIBYTE,
    descriptors,
    series: metrics.series,
    queue: metrics.value("reconcile_queue_depth"),
  };
}

/** @throws when the replica has ended */
export function pidOf(replica: Replica): number {
  if (replica.pid === undefined) throw new Error(`The replica has ended; its log is ${replica.logFile}`);
  return replica.pid;
}
