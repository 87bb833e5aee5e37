import { keyOf } from "../kserve/identity";
import type { InferenceServices } from "../kserve/inference-services";
import type { MlflowReader } from "../mlflow/client";
import { formatKey } from "../support/model-version-key";
import type { ModelVersionKey } from "../support/model-version-key";
import { inParallel } from "../support/in-parallel";
import type { Log } from "../observability/logging";
import { messageOf } from "../observability/logging";
import type { DeletionGuard } from "./deletion-guard";
import type { Outcome, Reconciler } from "./reconciler";

/** Versions compared at the same time: MLflow may have to be asked where the artifacts of a new one are. */
const CONCURRENCY = 16;

export interface ResyncOptions {
  readonly mlflow: MlflowReader;
  readonly services: InferenceServices;
  readonly reconciler: Reconciler;
  /** Reconciles one key, through the queue. */
  readonly reconcile: (key: ModelVersionKey) => Promise<Outcome>;
  readonly guard: DeletionGuard;
  readonly deployTagKey: string;
  readonly log: Log;
}

/** What one resync found and did. */
export interface ResyncReport {
  /** Tagged versions in MLflow. */
  readonly tagged: number;
  /** Our InferenceServices in the cluster, before. */
  readonly managed: number;
  readonly created: number;
  readonly updated: number;
  readonly deleted: number;
  /** Services that are to go, and were left because too many are at once: see {@link DeletionGuard}. */
  readonly held: number;
  /** Versions whose reconcile failed; they are tried again next time. */
  readonly failed: number;
}

/**
 * Compares all tagged versions with all our InferenceServices and reconciles each that differs. An InferenceService
 * whose version is not in the search's answer is not deleted for that: like everything else it is reconciled, which asks
 * MLflow about that very version; and when there are suspiciously many of them, later passes must say the same.
 *
 * @throws MlflowError or KubernetesError when one of the two lists is not to be had in full; nothing was done then
 */
export async function resync(options: ResyncOptions): Promise<ResyncReport> {
  const { reconcile, guard, log } = options;
  const { tagged, managed, unsettled, unwanted } = await differences(options);
  const { released, held } = await guard.release(unwanted, managed);

  const counts = { created: 0, updated: 0, deleted: 0, failed: 0 };
  await Promise.all(
    [...unsettled, ...released].map(async key => {
      try {
        const { action } = await reconcile(key);
        if (action === "created" || action === "updated" || action === "deleted") counts[action]++;
      } catch (error) {
        counts.failed++;
        log.error(
          { model: key.model, version: key.version, cause: messageOf(error) },
          "Reconcile failed, the next poll tries again",
        );
      }
    }),
  );
  return { tagged, managed, ...counts, held };
}

interface Differences extends Pick<ResyncReport, "tagged" | "managed"> {
  /** Tagged versions whose service is missing or differs. */
  readonly unsettled: readonly ModelVersionKey[];
  /** Versions that have a service and are not among the tagged ones. */
  readonly unwanted: readonly ModelVersionKey[];
}

/**
 * Goes through the services page by page and keeps none of them: of many thousands, all at once would be most of what the
 * process has in memory.
 */
async function differences({
  mlflow,
  services,
  reconciler,
  deployTagKey,
  log,
}: Omit<ResyncOptions, "reconcile" | "guard">): Promise<Differences> {
  const tagged = new Map((await mlflow.searchTagged(deployTagKey)).map(version => [formatKey(version), version]));
  const settled = new Set<string>();
  const unwanted: ModelVersionKey[] = [];
  let managed = 0;
  for await (const page of services.managedPages()) {
    managed += page.length;
    await inParallel(page, CONCURRENCY, async service => {
      const key = keyOf(service.metadata);
      if (key === undefined) {
        const { name, namespace } = service.metadata;
        log.warn(
          { inference_service: name, namespace },
          "InferenceService carries our managed-by label but not our name and annotations; it is left untouched",
        );
        return;
      }
      const version = tagged.get(formatKey(key));
      if (version === undefined) {
        if (service.metadata.deletionTimestamp === undefined) unwanted.push(key);
        return;
      }
      // What cannot be rendered differs; its reconcile says why.
      if (await reconciler.isSettled(version, service).catch(() => false)) settled.add(formatKey(key));
    });
  }
  const unsettled = [...tagged]
    .filter(([id]) => !settled.has(id))
    .map(([, { model, version }]): ModelVersionKey => ({ model, version }));
  return { tagged: tagged.size, managed, unsettled, unwanted };
}
