import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Kubectl } from "../testbed/kubectl";
import { cleanEnvironment } from "../testbed/processes";
import { customResourcesEstablished } from "./custom-resources";

/**
 * Puts into the cluster what Pepr's runtime keeps its state in, without which it does not begin to watch. Pepr's own
 * controller does it, before it finds that there is no module with the hash that it was given, and ends.
 */
export async function installPeprStore(kubectl: Kubectl, kubeconfig: string): Promise<void> {
  const controller = spawn(process.execPath, ["node_modules/pepr/dist/controller.js", "no-module"], {
    env: { ...cleanEnvironment(), KUBECONFIG: kubeconfig },
    stdio: "ignore",
  });
  await once(controller, "exit");
  await customResourcesEstablished(kubectl, ["crd/peprstores.pepr.dev"]);
  const existing = await kubectl(["get", "namespace", "pepr-system", "--ignore-not-found", "--output=name"]);
  if (existing === "") await kubectl(["create", "namespace", "pepr-system"]);
}
