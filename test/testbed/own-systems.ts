import { MANAGED_BY, MANAGED_BY_LABEL } from "../../capabilities/kserve/identity";
import packageJson from "../../package.json";
import type { Kubectl } from "./kubectl";
import { answersOk } from "./probe";

const CRD = "inferenceservices.serving.kserve.io";

/** How the names begin that Pepr gives to what it installs for the module. */
const INSTALLED_AS = `pepr-${packageJson.pepr.uuid}`;

/** The names of what a cluster has of the module, each with its namespace where it has one. */
export interface FoundOfModule {
  readonly deployments: readonly string[];
  readonly webhookConfigurations: readonly string[];
  /** With our label: made by an installation, or by the listener that came before this module. */
  readonly inferenceServices: readonly string[];
}

/** Why a cluster of somebody's is not to be played with: one sentence. Undefined when nothing speaks against it. */
export function refusalOf(kubeconfig: string, found: FoundOfModule): string | undefined {
  const cure = "name a cluster without it with --kubeconfig, or leave the flag out to get a cluster of our own.";
  const installed = [...found.deployments, ...found.webhookConfigurations];
  if (installed.length > 0) {
    return `The cluster of ${kubeconfig} has mlflow-kserve installed (${someOf(installed)}): ${cure}`;
  }
  if (found.inferenceServices.length > 0) {
    const services = someOf(found.inferenceServices);
    return `The cluster of ${kubeconfig} has InferenceServices that mlflow-kserve manages (${services}): ${cure}`;
  }
  return undefined;
}

function someOf(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(", ");
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}

/**
 * Looks for the module in a cluster that the user brought, and writes nothing.
 * @throws one sentence when it is there, or the cluster does not say whether it is
 */
export async function checkNothingIsInstalled(kubeconfig: string, kubectl: Kubectl): Promise<void> {
  const names = async (...resource: string[]): Promise<string[]> => {
    const name = '{range .items[*]}{.metadata.namespace}/{.metadata.name}{"\\n"}{end}';
    const answer = await ask(
      () => kubectl(["get", ...resource, "--all-namespaces", "--request-timeout=15s", "-o", `jsonpath=${name}`]),
      `The cluster of ${kubeconfig} could not be asked whether mlflow-kserve is installed there`,
    );
    // What has no namespace has nothing before the slash.
    return answer.split("\n").flatMap(line => (line === "" ? [] : [line.replace(/^\//, "")]));
  };
  const isOurs = (name: string): boolean => name.replace(/^.*\//, "").startsWith(INSTALLED_AS);
  const [deployments, mutating, validating, inferenceServices] = await Promise.all([
    names("deployments.apps"),
    names("mutatingwebhookconfigurations"),
    names("validatingwebhookconfigurations"),
    names("inferenceservices.serving.kserve.io", "--selector", `${MANAGED_BY_LABEL}=${MANAGED_BY}`),
  ]);
  const refusal = refusalOf(kubeconfig, {
    deployments: deployments.filter(isOurs),
    webhookConfigurations: [...new Set([...mutating, ...validating])].filter(isOurs),
    inferenceServices,
  });
  if (refusal !== undefined) throw new Error(refusal);
}

async function ask(question: () => Promise<string>, failure: string): Promise<string> {
  try {
    return await question();
  } catch (error) {
    const output = error instanceof Error ? error.message : String(error);
    throw new Error(`${failure}: ${output.trim().split("\n").at(-1) ?? ""}`, { cause: error });
  }
}

/** Checks a cluster that the user brought. @throws one sentence when it does not answer or has no KServe */
export async function checkOwnCluster(kubeconfig: string, kubectl: Kubectl): Promise<void> {
  try {
    await kubectl(["get", "crd", CRD, "-o", "name", "--request-timeout=15s"]);
  } catch (error) {
    const output = error instanceof Error ? error.message : String(error);
    if (output.includes("NotFound")) {
      throw new Error(`The cluster of ${kubeconfig} has no KServe (no CRD ${CRD}): install KServe there first.`);
    }
    const reason = output.trim().split("\n").at(-1) ?? "";
    throw new Error(`The cluster of ${kubeconfig} could not be asked whether it has KServe: ${reason}`);
  }
}

/** Checks an MLflow server that the user brought. @throws one sentence when it does not answer */
export async function checkOwnMlflow(trackingUri: string): Promise<void> {
  if (!(await answersOk(`${trackingUri}/health`))) {
    throw new Error(
      `No MLflow server answers at ${trackingUri} (GET ${trackingUri}/health): start it, or leave it out.`,
    );
  }
}
