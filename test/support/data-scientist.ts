import { spawn } from "node:child_process";
import path from "node:path";
import { createInterface } from "node:readline";

/** When a call of MLflow's Python client began and returned: Unix milliseconds. */
export interface Timed {
  readonly started_at: number;
  readonly finished_at: number;
}

/** A person with MLflow's Python client: the real one, in a process of its own. */
export interface DataScientist {
  /** Trains a small model, logs it with its artifacts and registers it. */
  train: (model: string) => Promise<Timed & { version: string; run_id: string }>;
  /** The same the way of MLflow 2: the version's source is runs:/<run>/model. */
  trainByRun: (model: string) => Promise<Timed & { version: string; run_id: string }>;
  /** Logs a model of her own, which adds up each row of three numbers; or one that cannot be loaded. */
  logPythonModel: (model: string, loads: boolean) => Promise<Timed & { version: string; run_id: string }>;
  /** What a version answers in her own process. */
  predict: (
    model: string,
    version: string,
    rows: readonly (readonly number[])[],
  ) => Promise<Timed & { predictions: number[] }>;
  /** Deletes a version's files from MLflow's storage; the version stays. */
  deleteArtifacts: (model: string, version: string) => Promise<Timed>;
  /** Registers a version of a source, without artifacts. */
  register: (
    model: string,
    source: string,
    tags?: Readonly<Record<string, string>>,
  ) => Promise<Timed & { version: string }>;
  setTag: (model: string, version: string, key: string, value: string) => Promise<Timed>;
  deleteTag: (model: string, version: string, key: string) => Promise<Timed>;
  stop: () => void;
}

/** @throws Error when the client cannot be started or a call fails, with what Python said */
export async function hireDataScientist(python: string, mlflowTrackingUri: string): Promise<DataScientist> {
  const child = spawn(python, [path.join("test", "support", "data_scientist.py")], {
    env: { ...process.env, MLFLOW_TRACKING_URI: mlflowTrackingUri },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let complaints = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaints = (complaints + text).slice(-4000);
  });
  const waiting: { resolve: (answer: unknown) => void; reject: (error: Error) => void }[] = [];
  createInterface({ input: child.stdout }).on("line", line => {
    waiting.shift()?.resolve(JSON.parse(line));
  });
  child.on("exit", code => {
    for (const { reject } of waiting.splice(0)) reject(new Error(`MLflow's client ended (${code}): ${complaints}`));
  });
  const nextAnswer = (): Promise<unknown> =>
    new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
    });
  await nextAnswer();

  const call = async <T>(command: Record<string, unknown>): Promise<T> => {
    const answer = nextAnswer();
    child.stdin.write(`${JSON.stringify(command)}\n`);
    const received = (await answer) as { error?: string };
    if (received.error !== undefined) throw new Error(`MLflow's client: ${received.error}`);
    return received as T;
  };
  return {
    train: model => call({ do: "train", model }),
    trainByRun: model => call({ do: "train_by_run", model }),
    logPythonModel: (model, loads) => call({ do: "log_python_model", model, loads }),
    predict: (model, version, rows) => call({ do: "predict", model, version, rows }),
    deleteArtifacts: (model, version) => call({ do: "delete_artifacts", model, version }),
    register: (model, source, tags = {}) => call({ do: "register", model, source, tags }),
    setTag: (model, version, key, value) => call({ do: "set_tag", model, version, key, value }),
    deleteTag: (model, version, key) => call({ do: "delete_tag", model, version, key }),
    stop: () => {
      child.stdin.end();
    },
  };
}
