import type { LiveInferenceService } from "../../../capabilities/kserve/live-inference-service";
import type { MlflowReader } from "../../../capabilities/mlflow/client";
import type { StorageSettings } from "../../../capabilities/mlflow/storage-uri";
import { createIsForeign } from "../../../capabilities/reconciliation/ownership";
import { createReconciler } from "../../../capabilities/reconciliation/reconciler";
import type { Reconciler } from "../../../capabilities/reconciliation/reconciler";
import { createRemovals } from "../../../capabilities/reconciliation/removals";
import type { RemovalLimits } from "../../../capabilities/reconciliation/removal-limits";
import type { Removals } from "../../../capabilities/reconciliation/removals";
import { createSiblingSearch } from "../../../capabilities/reconciliation/successors";
import { fakeCluster } from "./fake-cluster";
import type { FakeCluster } from "./fake-cluster";
import { fakeMlflow } from "./fake-mlflow";
import type { FakeMlflow } from "./fake-mlflow";
import { modelVersion, RESOURCES, TEMPLATE } from "./objects";

export interface Reconciling {
  readonly mlflow: FakeMlflow;
  readonly cluster: FakeCluster;
  readonly removals: Removals;
  readonly reconciler: Reconciler;
}

/** What may go how, unless a test says otherwise: of few services a half, and suspicious ones after a minute. */
export const LIMITS: RemovalLimits = { share: 0.5, count: 2, hold: 60_000, handover: 600_000 };

/** Settings that a test changes. */
export interface ReconcilingSettings {
  readonly dryRun?: boolean;
  readonly storage?: StorageSettings;
}

/** A reconciler between an MLflow with the usual tagged version and a cluster with these objects. */
export function setUpReconciler(
  live: readonly LiveInferenceService[] = [],
  replaced: Partial<MlflowReader> = {},
  settings: ReconcilingSettings = {},
): Reconciling {
  const mlflow = fakeMlflow(replaced);
  mlflow.put(modelVersion());
  const cluster = fakeCluster(...live);
  return { mlflow, cluster, ...reconcilerBetween(mlflow, cluster, undefined, settings) };
}

/** The reconciler and the policy of removals between an MLflow and a cluster; `now` is the policy's clock. */
export function reconcilerBetween(
  mlflow: FakeMlflow,
  cluster: FakeCluster,
  now?: () => number,
  settings: ReconcilingSettings = {},
): Pick<Reconciling, "reconciler" | "removals"> {
  const { dryRun = false, storage = {} } = settings;
  const deployTagKey = "deploy";
  const siblings = createSiblingSearch(mlflow, cluster, deployTagKey, () => Promise.resolve([]));
  const isForeign = createIsForeign(true);
  const removals = createRemovals({
    ...{ limits: LIMITS, deployTagKey, isForeign, mlflow, siblings },
    championAlias: "champion",
    endpointUse: () => Promise.resolve(undefined),
    ...(now && { now }),
  });
  const options = {
    mlflow,
    services: cluster,
    template: TEMPLATE,
    resources: RESOURCES,
    removals,
    isForeign,
    dryRun,
  };
  return { removals, reconciler: createReconciler({ ...options, deployTagKey, storage }) };
}

/** Changes the world between the reconciler's look and its next write. */
export function changeOnce(cluster: FakeCluster, change: () => void): void {
  cluster.beforeWrite = () => {
    cluster.beforeWrite = () => undefined;
    change();
  };
}
