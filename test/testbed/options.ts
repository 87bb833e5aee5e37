import { existsSync } from "node:fs";
import { delimiter, resolve } from "node:path";
import { parseArgs } from "node:util";

/** What the caller brings along, or wants to be different. */
export interface TestbedOptions {
  /** A kubeconfig file for a cluster that has KServe; we build and start a cluster when left out. */
  kubeconfig?: string;
  /** Base URL of an MLflow server; we start one when left out. */
  mlflowTrackingUri?: string;
  /** Settings for our MLflow server, on top of ours. */
  mlflowEnvironment?: Record<string, string>;
  /** Gets a line for every step, and during long ones. */
  progress?: (message: string) => void;
}

/** The flags that say what the user brings along, for the `options` of parseArgs. */
export const TESTBED_FLAGS = { kubeconfig: { type: "string" }, mlflow: { type: "string" } } as const;

/**
 * Reads what the user brings along from flags (--kubeconfig FILE, --mlflow URL) and environment (KUBECONFIG,
 * MLFLOW_TRACKING_URI); a flag goes before its variable, and each says nothing about the other. Other flags are left
 * to the caller.
 * @throws when a value cannot be used: one sentence that says why
 */
export function testbedOptionsFrom(argv: readonly string[], environment: NodeJS.ProcessEnv): TestbedOptions {
  const { values } = parseArgs({ args: [...argv], options: TESTBED_FLAGS, strict: false });
  const options: TestbedOptions = {};
  const kubeconfig = pick("--kubeconfig", values.kubeconfig, "KUBECONFIG", environment.KUBECONFIG);
  if (kubeconfig) options.kubeconfig = checkFile(kubeconfig);
  const mlflow = pick("--mlflow", values.mlflow, "MLFLOW_TRACKING_URI", environment.MLFLOW_TRACKING_URI);
  if (mlflow) options.mlflowTrackingUri = checkUrl(mlflow);
  return options;
}

interface Choice {
  readonly source: string;
  readonly value: string;
}

function pick(
  flag: string,
  flagValue: string | boolean | undefined,
  variable: string,
  variableValue: string | undefined,
): Choice | undefined {
  if (typeof flagValue === "boolean" || flagValue === "") throw new Error(`${flag} needs a value.`);
  if (flagValue !== undefined) return { source: flag, value: flagValue };
  return variableValue ? { source: variable, value: variableValue } : undefined;
}

function checkFile({ source, value }: Choice): string {
  if (value.includes(delimiter) && !existsSync(value)) {
    throw new Error(`${source} names several files (${value}): give the one to use with --kubeconfig.`);
  }
  const path = resolve(value);
  if (!existsSync(path)) {
    throw new Error(`${source} names a file that is not there (${path}): leave it out to get a cluster of our own.`);
  }
  return path;
}

function checkUrl({ source, value }: Choice): string {
  const protocol = URL.canParse(value) ? new URL(value).protocol : "";
  if (protocol !== "http:" && protocol !== "https:") {
    throw new Error(`${source} must be the http or https URL of an MLflow server, and is "${value}".`);
  }
  return value.replace(/\/+$/, "");
}
