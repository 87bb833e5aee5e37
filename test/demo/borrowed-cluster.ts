import type { Kubectl } from "../testbed/kubectl";

const STORE_CRD = "peprstores.pepr.dev";
const STORE_NAMESPACE = "pepr-system";

/** Remembers what is in a cluster of somebody's, so that the end of the demonstration removes what came to it, and no more. */
export interface BorrowedCluster {
  /** Makes the namespace for the InferenceServices. @throws Error when it is there already */
  createNamespace: (name: string) => Promise<void>;
  /**
   * Removes that namespace with all that is in it, and what Pepr's runtime needs, unless it was there before or somebody
   * has begun to use it.
   */
  giveBack: () => Promise<void>;
}

/** Looks, and writes nothing. */
export async function borrowCluster(kubectl: Kubectl): Promise<BorrowedCluster> {
  const names = async (...which: string[]): Promise<string> =>
    await kubectl(["get", ...which, "--ignore-not-found", "--output=name"]);
  const crdWasThere = (await names("crd", STORE_CRD)) !== "";
  const namespaceWasThere = (await names("namespace", STORE_NAMESPACE)) !== "";
  const created: string[] = [];
  return {
    async createNamespace(name) {
      await kubectl(["create", "namespace", name]);
      created.push(name);
    },
    async giveBack() {
      // KServe's finalizer takes a moment for each service.
      for (const name of created) await kubectl(["delete", "namespace", name, "--ignore-not-found", "--timeout=120s"]);
      const isUsed = async (): Promise<boolean> =>
        (await names("deployments.apps", "-n", STORE_NAMESPACE)) !== "" ||
        (await names(STORE_CRD, "--all-namespaces")) !== "";
      if ((crdWasThere && namespaceWasThere) || (await isUsed())) return;
      if (!crdWasThere) await kubectl(["delete", "crd", STORE_CRD, "--ignore-not-found"]);
      if (!namespaceWasThere) await kubectl(["delete", "namespace", STORE_NAMESPACE, "--ignore-not-found"]);
    },
  };
}
