import type { Kubectl } from "./kubectl";
import { answersOk } from "./probe";

const CRD = "inferenceservices.serving.kserve.io";

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
