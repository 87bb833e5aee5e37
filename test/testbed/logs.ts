import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { cacheDirectory } from "./cache";
import { isRunning } from "./running";

const RUNS_KEPT = 20;

/** Makes the folder for the logs of a new run, and removes those of runs long past. */
export function createLogDirectory(): string {
  const logs = join(cacheDirectory(), "logs");
  mkdirSync(logs, { recursive: true });
  // A run that goes on keeps its logs, however many came after it.
  const runs = readdirSync(logs)
    .sort()
    .filter(run => !isRunning(Number(run.split("-").at(-1))));
  for (const run of runs.slice(0, Math.max(0, runs.length - RUNS_KEPT + 1))) {
    rmSync(join(logs, run), { recursive: true, force: true });
  }
  const directory = join(logs, `${new Date().toISOString().replace(/[:.]/g, "-")}-${process.pid}`);
  mkdirSync(directory);
  return directory;
}

/** The last lines of a log; empty when there is none. */
function lastLines(file: string, count = 15): string {
  if (!existsSync(file)) return "";
  return readFileSync(file, "utf8").trimEnd().split("\n").slice(-count).join("\n");
}

/** A message that names the part, what happened to it, how its log ends and where all logs are. */
export function describeFailure(part: string, problem: string, logFile: string): string {
  return `${part} ${problem}. Its log ends:\n${lastLines(logFile)}\nAll logs: ${dirname(logFile)}`;
}
