import packageJson from "../../package.json";
import type { TestbedOptions } from "../testbed";

/** What the demonstration's things are called. */
export interface Names {
  /** Where the InferenceServices go. */
  readonly namespace: string;
  readonly model: string;
  /** The tag that deploys a version. */
  readonly tag: string;
  /** The module, for Pepr's runtime and for its webhook in MLflow. */
  readonly module: string;
}

/**
 * Names as in the documentation, where the systems are the demonstration's own. In those of somebody's nothing is called as
 * anything that may be there, or that an installation would take for its own.
 *
 * @param id what tells this run from others: lower-case letters and digits
 */
export function namesFor({ kubeconfig, mlflowTrackingUri }: TestbedOptions, id: string): Names {
  const own = `mlflow-kserve-demo-${id}`;
  const [ownCluster, ownMlflow] = [kubeconfig === undefined, mlflowTrackingUri === undefined];
  return {
    namespace: ownCluster ? "kserve-mlflow-models" : own,
    module: ownCluster && ownMlflow ? packageJson.pepr.uuid : own,
    model: ownMlflow ? "iris" : `iris-demo-${id}`,
    tag: ownMlflow ? "deploy" : `deploy-demo-${id}`,
  };
}
