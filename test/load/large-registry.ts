import { copyFileSync, existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { run } from "../testbed/commands";
import { startMlflow } from "../testbed/mlflow";
import type { MlflowOptions, MlflowServer } from "../testbed/mlflow";
import { cleanEnvironment } from "../testbed/processes";
import { emptyDatabaseOf } from "../testbed/python";
import { removeAtEnd } from "../testbed/watchdog";

/** A registry as a large organisation has it. */
export interface LargeRegistry {
  readonly models: readonly string[];
  /** Versions of each model. */
  readonly versions: number;
  /** Versions with the tag, counted over all models version by version. */
  readonly tagged: number;
  readonly tag: string;
  /** Whether each version has a run, as those have that were trained with MLflow. */
  readonly runs: boolean;
}

/**
 * Starts an MLflow server on a database that has the registry already: its tables are filled by MLflow's own classes in
 * seconds, where registering over HTTP takes MLflow some 30 ms a request.
 *
 * @param options its server processes are four, MLflow's default, when left out
 */
export async function startMlflowWith(
  registry: LargeRegistry,
  options: Pick<MlflowOptions, "workers" | "environment"> & { readonly python: string; readonly logDirectory: string },
): Promise<MlflowServer> {
  const directory = mkdtempSync(path.join(tmpdir(), "mlflow-kserve-registry-"));
  removeAtEnd(directory);
  const database = path.join(directory, "mlflow.db");
  const empty = emptyDatabaseOf(options.python);
  if (existsSync(empty)) copyFileSync(empty, database);
  const script = path.join("test", "load", "populate_registry.py");
  await run(options.python, [script, database], { environment: cleanEnvironment(), input: JSON.stringify(registry) });
  return await startMlflow({ ...options, database });
}
