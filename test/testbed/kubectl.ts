import { join } from "node:path";
import { run } from "./commands";
import { cleanEnvironment } from "./processes";

/** Runs kubectl against one cluster, with a text for its standard input, and returns what it wrote. */
export type Kubectl = (args: readonly string[], input?: string) => Promise<string>;

/**
 * Makes a function that runs kubectl against one cluster.
 * @param directory a folder for what kubectl caches of the API
 */
export function kubectlFor(kubectl: string, kubeconfig: string, directory: string): Kubectl {
  const environment = { ...cleanEnvironment(), KUBECACHEDIR: join(directory, "kubectl") };
  return async (args, input) => {
    const options = input === undefined ? { environment } : { environment, input };
    return (await run(kubectl, ["--kubeconfig", kubeconfig, ...args], options)).stdout.trim();
  };
}
