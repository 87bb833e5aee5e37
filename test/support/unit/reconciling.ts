import type { LiveInferenceService } from "../../../capabilities/kserve/live-inference-service";
import type { MlflowReader } from "../../../capabilities/mlflow/client";
import { createReconciler } from "../../../capabilities/reconciliation/reconciler";
import type { Reconciler } from "../../../capabilities/reconciliation/reconciler";
import { fakeCluster } from "./fake-cluster";
import type { FakeCluster } from "./fake-cluster";
import { fakeMlflow } from "./fake-mlflow";
import type { FakeMlflow } from "./fake-mlflow";
import { modelVersion, RESOURCES, TEMPLATE } from "./objects";

export interface Reconciling {
  readonly mlflow: FakeMlflow;
  readonly cluster: FakeCluster;
  readonly reconciler: Reconciler;
}

/** A reconciler between an MLflow with the usual tagged version and a cluster with these objects. */
export function setUpReconciler(
  live: readonly LiveInferenceService[] = [],
  replaced: Partial<MlflowReader> = {},
): Reconciling {
  const mlflow = fakeMlflow(replaced);
  mlflow.put(modelVersion());
  const cluster = fakeCluster(...live);
  const options = { mlflow, services: cluster, template: TEMPLATE, resources: RESOURCES };
  const reconciler = createReconciler({ ...options, deployTagKey: "deploy", storage: {} });
  return { mlflow, cluster, reconciler };
}

/** Changes the world between the reconciler's look and its next write. */
export function changeOnce(cluster: FakeCluster, change: () => void): void {
  cluster.beforeWrite = () => {
    cluster.beforeWrite = () => undefined;
    change();
  };
}
