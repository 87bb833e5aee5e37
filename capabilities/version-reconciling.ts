import type { Configuration } from "./configuration/configuration";
import { workspaceRecorded } from "./kserve/identity";
import type { InferenceServices } from "./kserve/inference-services";
import type { MlflowReader, ModelSearch, ModelVersion } from "./mlflow/client";
import type { Log } from "./observability/logging";
import { createIsForeign } from "./reconciliation/ownership";
import { createReconciler } from "./reconciliation/reconciler";
import type { Reconciler } from "./reconciliation/reconciler";
import { createRemovals } from "./reconciliation/removals";
import type { RemovalOptions, Removals } from "./reconciliation/removals";
import { createSiblingSearch } from "./reconciliation/successors";

/** Milliseconds. */
const MINUTE = 60_000;

export interface VersionReconcilingOptions extends Pick<Configuration, "settings" | "template"> {
  readonly mlflow: MlflowReader;
  /** The same without a pause to gather several questions into one. */
  readonly reader: MlflowReader & ModelSearch;
  readonly services: InferenceServices;
  /** The versions that a model wants by its aliases. */
  readonly wantedByAlias: (model: string) => Promise<ModelVersion[]>;
  /** See {@link RemovalOptions.endpointUse}. */
  readonly endpointUse: RemovalOptions["endpointUse"];
  /** MLflow's, as it is called at the start; undefined where it has none. */
  readonly workspace: string | undefined;
  readonly log: Log;
}

/** What makes one version's service what MLflow says, and what decides about its end, as the settings want them. */
export interface VersionReconciling {
  readonly reconciler: Reconciler;
  readonly removals: Removals;
}

export function createVersionReconciling(options: VersionReconcilingOptions): VersionReconciling {
  const { settings, template, mlflow, reader, services, log } = options;
  const deployTagKey = settings.DEPLOY_TAG_KEY;
  const workspace = workspaceRecorded(options.workspace);
  const isForeign = createIsForeign(settings.ADOPT_SERVICES);
  const removals = createRemovals({
    ...{ isForeign, deployTagKey, mlflow, workspace },
    championAlias: settings.CHAMPION_ALIAS,
    limits: {
      share: settings.DELETION_GUARD_PERCENT / 100,
      count: settings.DELETION_GUARD_COUNT,
      hold: settings.DELETION_HOLD_MINUTES * MINUTE,
      handover: settings.HANDOVER_MINUTES * MINUTE,
    },
    siblings: createSiblingSearch(reader, services, deployTagKey, options.wantedByAlias),
    endpointUse: options.endpointUse,
  });
  const reconciler = createReconciler({
    ...{ mlflow, log, services, template, deployTagKey, removals, isForeign, workspace },
    dryRun: settings.ROLLOUT_DRY_RUN,
    storage: { storageUriBase: settings.STORAGE_URI_BASE, allowedStorageUris: settings.ALLOWED_STORAGE_URIS },
    resources: {
      cpuRequest: settings.PREDICTOR_CPU_REQUEST,
      cpuLimit: settings.PREDICTOR_CPU_LIMIT,
      memoryRequest: settings.PREDICTOR_MEMORY_REQUEST,
      memoryLimit: settings.PREDICTOR_MEMORY_LIMIT,
    },
  });
  return { reconciler, removals };
}
