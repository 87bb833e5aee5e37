import { readdirSync, readFileSync } from "node:fs";
import type { Part } from "../testbed";

/** Of the times in /proc/<pid>/stat, in a second (USER_HZ, the same on all of Linux's usual architectures). */
const TICKS = 100;

/** Processor time that a process and its threads have used until now, in seconds; 0 when it is gone. */
export function processorSeconds(pid: number): number {
  const fields = statOf(String(pid));
  return fields === undefined ? 0 : ticksIn(fields) / TICKS;
}

/** Processor time of a part with all processes that it started, in seconds. */
export function processorSecondsOf(part: Pick<Part, "pid"> | undefined): number {
  if (part?.pid === undefined) return 0;
  let ticks = 0;
  for (const pid of readdirSync("/proc")) {
    const fields = /^\d+$/.test(pid) ? statOf(pid) : undefined;
    if (fields !== undefined && Number(fields[2]) === part.pid) ticks += ticksIn(fields);
  }
  return ticks / TICKS;
}

/** The most resident memory that a process ever had, in MiB. */
export function peakMemory(pid: number): number {
  const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kibibytes) / 1024;
}

/** The fields behind the program's name, which may hold spaces: state, parent, process group and so on. */
function statOf(pid: string): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    // It ended meanwhile.
    return undefined;
  }
}

/** User and system time (fields 14 and 15 of proc_pid_stat(5)). */
function ticksIn(fields: readonly string[]): number {
  return Number(fields[11]) + Number(fields[12]);
}
