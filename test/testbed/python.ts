import { dirname, join } from "node:path";
import { cached, cacheKey, contentsOf } from "./cache";
import { run } from "./commands";
import type { PythonFound } from "./prerequisites";
import { cleanEnvironment } from "./processes";

const LOCK = join(__dirname, "python", "requirements.lock.txt");

/** The interpreter of our own Python environment, which has MLflow and scikit-learn. */
export interface PythonEnvironment {
  /** Absolute path. */
  readonly python: string;
}

/** Makes a virtual environment from the lock file, every package checked against its hash, or finds it in the cache. */
export async function pythonEnvironment(
  base: PythonFound,
  progress: (message: string) => void,
): Promise<PythonEnvironment> {
  const key = cacheKey(base.identity, ...contentsOf(LOCK));
  const directory = await cached("python", key, target => install(base.command, target, progress), progress);
  return { python: interpreterIn(directory) };
}

/**
 * The database file beside an interpreter of ours, with MLflow's tables and nothing in them: making them takes MLflow
 * six seconds, copying them none.
 */
export function emptyDatabaseOf(python: string): string {
  return join(dirname(dirname(python)), "empty-mlflow.db");
}

function interpreterIn(directory: string): string {
  return join(directory, "bin", "python");
}

async function install(basePython: string, directory: string, progress: (message: string) => void): Promise<void> {
  const started = Date.now();
  const seconds = (): string => `${Math.round((Date.now() - started) / 1000)} s`;
  const environment = cleanEnvironment();
  progress("installing MLflow and scikit-learn");
  const sign = setInterval(() => {
    progress(`installing MLflow and scikit-learn: ${seconds()}`);
  }, 15_000);
  try {
    await run(basePython, ["-m", "venv", directory], { environment });
    const python = interpreterIn(directory);
    const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"];
    await run(python, [...pip, "--no-deps", "--require-hashes", "--requirement", LOCK], { environment });
    await run(python, ["-m", "mlflow", "db", "upgrade", `sqlite:///${emptyDatabaseOf(python)}`], { environment });
    progress(`installed MLflow and scikit-learn in ${seconds()}`);
  } finally {
    clearInterval(sign);
  }
}
