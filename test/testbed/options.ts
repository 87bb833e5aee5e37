import { existsSync, readFileSync } from "node:fs";
import { delimiter, resolve } from "node:path";
import { parseArgs } from "node:util";
import type { KserveModule } from "./go-binaries";
import { isTestbedKubeconfig } from "./kubeconfig";

/** What the caller brings along, or wants to be different. */
export interface TestbedOptions {
  /** A kubeconfig file for a cluster that has KServe; we build and start a cluster when left out. */
  kubeconfig?: string;
  /** Whether it may have the module and its services in it: a testbed that runs, where tests leave what they like. */
  mayBeInUse?: boolean;
  /** Which release of KServe our cluster gets; the one that is tested with when left out. */
  kserve?: KserveModule;
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
 * Reads what the user brings along from flags (--kubeconfig FILE, --mlflow URL), and from nothing else: a variable such as
 * KUBECONFIG is set for other work, on clusters that must not be touched. Other flags are left to the caller.
 * @throws when a value cannot be used: one sentence that says why
 */
export function testbedOptionsFromFlags(argv: readonly string[]): TestbedOptions {
  const { values } = parseArgs({ args: [...argv], options: TESTBED_FLAGS, strict: false });
  const options: TestbedOptions = {};
  const kubeconfig = valueOf("--kubeconfig", values.kubeconfig);
  if (kubeconfig !== undefined) options.kubeconfig = checkFile(kubeconfig);
  const mlflow = valueOf("--mlflow", values.mlflow);
  if (mlflow !== undefined) options.mlflowTrackingUri = checkUrl("--mlflow", mlflow);
  return options;
}

/**
 * The same for tests and measurements, which also work on a testbed that runs already: KUBECONFIG, and beside it
 * MLFLOW_TRACKING_URI, as `npm run testbed` prints them. With a flag the variables say nothing.
 * @param notice gets one sentence when a variable names something else, which is left alone
 * @throws when a value cannot be used: one sentence that says why
 */
export function testbedOptionsFrom(
  argv: readonly string[],
  environment: NodeJS.ProcessEnv,
  notice: (message: string) => void = console.error,
): TestbedOptions {
  const named = testbedOptionsFromFlags(argv);
  if (named.kubeconfig !== undefined || named.mlflowTrackingUri !== undefined) return named;
  const { KUBECONFIG: kubeconfig, MLFLOW_TRACKING_URI: mlflow } = environment;
  if (!kubeconfig) {
    if (mlflow) notice(`MLFLOW_TRACKING_URI is left alone: it counts only beside the KUBECONFIG of a testbed.`);
    return {};
  }
  if (!existsSync(kubeconfig) || !isTestbedKubeconfig(readFileSync(kubeconfig, "utf8"))) {
    notice(
      `KUBECONFIG (${kubeconfig}) is left alone: no testbed that is there wrote it. --kubeconfig names a cluster.`,
    );
    return {};
  }
  const options: TestbedOptions = { kubeconfig: resolve(kubeconfig), mayBeInUse: true };
  if (mlflow) options.mlflowTrackingUri = checkUrl("MLFLOW_TRACKING_URI", mlflow);
  return options;
}

function valueOf(flag: string, value: string | boolean | undefined): string | undefined {
  if (typeof value === "boolean" || value === "") throw new Error(`${flag} needs a value.`);
  return value;
}

function checkFile(value: string): string {
  if (value.includes(delimiter) && !existsSync(value)) {
    throw new Error(`--kubeconfig names several files (${value}): give the one to use.`);
  }
  const path = resolve(value);
  if (!existsSync(path)) {
    throw new Error(`--kubeconfig names a file that is not there (${path}): leave it out to get a cluster of our own.`);
  }
  return path;
}

function checkUrl(source: string, value: string): string {
  const protocol = URL.canParse(value) ? new URL(value).protocol : "";
  if (protocol !== "http:" && protocol !== "https:") {
    throw new Error(`${source} must be the http or https URL of an MLflow server, and is "${value}".`);
  }
  return value.replace(/\/+$/, "");
}
