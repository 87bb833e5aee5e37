import { execFileSync } from "node:child_process";
import { basename } from "node:path";
import { isRunning } from "./running";

/**
 * Waits until somebody wants this process to end: Ctrl-C, SIGTERM, SIGHUP, or the end of what started it (npm, npx
 * and tsx each start the next one, and when one is killed, those after it are not told).
 * @returns why, as a line to show
 */
export function untilAskedToStop(): Promise<string> {
  return new Promise(resolve => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.once(signal, () => {
        resolve(`Ending it, because of ${signal}.`);
      });
    }
    const launchers = findLaunchers();
    const timer = setInterval(() => {
      // A parent that has ended still counts as running while nobody has asked for its exit code.
      if (process.ppid === launchers[0] && launchers.every(isRunning)) return;
      clearInterval(timer);
      resolve("Ending it, because the command that started it is gone.");
    }, 500);
  });
}

// The processes above ours that are there for our sake: the direct parent, and those that npm is or that name our
// program. A shell or a terminal further up may go without taking a testbed in the background with it.
function findLaunchers(): number[] {
  const launchers = [process.ppid];
  const program = basename(process.argv[1] ?? "");
  for (let pid = process.ppid; pid > 1; ) {
    const [parent, command] = describeProcess(pid);
    if (!/\bnpm\b/.test(command) && !command.includes(program)) break;
    launchers.push(pid);
    pid = parent;
  }
  return launchers;
}

function describeProcess(pid: number): [parent: number, command: string] {
  try {
    const output = execFileSync("ps", ["-o", "ppid=,args=", "-p", String(pid)], { encoding: "utf8" }).trim();
    const separator = output.indexOf(" ");
    return [Number(output.slice(0, separator)), output.slice(separator + 1)];
  } catch {
    return [0, ""]; // no such program here: the direct parent has to do
  }
}
