import { hasLostAnnotations, keyOf, serves } from "../kserve/identity";
import type { InferenceServices } from "../kserve/inference-services";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import { managementOf } from "../kserve/management";
import { inferenceServiceName } from "../kserve/names";
import type { MlflowReader, ModelVersion } from "../mlflow/client";
import type { Log } from "../observability/logging";
import { inParallel } from "../support/in-parallel";
import { formatKey } from "../support/model-version-key";
import type { ModelVersionKey } from "../support/model-version-key";
import type { FailureReporter } from "./failures";
import type { Outcome, Reconciler } from "./reconciler";
import type { Candidate, HeldRemoval, Removals } from "./removals";
import { readinessOf } from "./successors";
import type { Readiness, Successor } from "./successors";
import { unfinished } from "./template-rollout";
import type { OutdatedService, RolloutState, TemplateRollout, UnfinishedService } from "./template-rollout";

/** Versions compared at the same time: MLflow may have to be asked where the artifacts of a new one are. */
const CONCURRENCY = 16;

export interface ResyncOptions {
  readonly mlflow: MlflowReader;
  readonly services: InferenceServices;
  readonly reconciler: Reconciler;
  /** Reconciles one key, through the queue. Failures are told by the queue's work. */
  readonly reconcile: (key: ModelVersionKey) => Promise<Outcome>;
  readonly removals: Removals;
  readonly rollout: TemplateRollout;
  readonly reporter: FailureReporter;
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
  /** Services that are to go, and stay for now: see {@link Removals}. */
  readonly held: number;
  /** Services that are made from a former template or setting, and wait for their turn. */
  readonly outdated: number;
  /** Versions whose reconcile failed; they are tried again next time. */
  readonly failed: number;
}

/** A service that is on its way out, and is to be made again. */
export interface Deletion {
  readonly inferenceService: string;
  /** Whose owners have to let it go. */
  readonly finalizers: readonly string[];
}

/** A report, with what it only counts. */
export interface Resynced {
  readonly going: readonly Deletion[];
  readonly report: ResyncReport;
  readonly heldRemovals: readonly HeldRemoval[];
  readonly rollout: RolloutState;
}

/**
 * Compares all tagged versions with all our InferenceServices and reconciles each that differs. An InferenceService
 * whose version is not in the search's answer is not deleted for that: MLflow is asked about that very version, and
 * {@link Removals} decides. One that is only outdated waits for its turn in the {@link TemplateRollout}.
 *
 * @throws MlflowError or KubernetesError when one of the two lists is not to be had in full; nothing was done then
 */
export async function resync(options: ResyncOptions): Promise<Resynced> {
  const { reconcile, removals, rollout, reporter } = options;
  const found = await differences(options);
  const { released, held } = await removals.review(found.unwanted, { size: found.size, wanted: found.wanted() });

  const counts = { created: 0, updated: 0, deleted: 0, failed: 0 };
  const act = async (key: ModelVersionKey): Promise<Outcome | undefined> => {
    try {
      const outcome = await reconcile(key);
      const { action } = outcome;
      if (action === "created" || action === "updated" || action === "deleted") counts[action]++;
      return outcome;
    } catch (error) {
      counts.failed++;
      reporter.failed(key, error);
      return undefined;
    }
  };
  const [state] = await Promise.all([
    rollout.goOn(found.outdated, found.unfinished, act),
    ...[...found.different, ...released].map(act),
  ]);
  reporter.pollEnded([
    ...found.different,
    ...found.outdated.map(({ key }) => key),
    ...found.unwanted.map(({ key }) => key),
  ]);
  const { tagged, managed } = found;
  const report = { tagged, managed, ...counts, held: held.length, outdated: state.outdated };
  return { report, heldRemovals: held, rollout: state, going: found.going };
}

interface Differences extends Pick<ResyncReport, "tagged" | "managed"> {
  /** Our services that are not on their way out nor left to a person. */
  readonly size: number;
  /** Tagged versions whose service is missing or another one. */
  readonly different: readonly ModelVersionKey[];
  readonly outdated: readonly OutdatedService[];
  /** Services that have the form that they should have, and are not Ready in it yet. */
  readonly unfinished: readonly UnfinishedService[];
  /** Services whose versions are not among the tagged ones. */
  readonly unwanted: readonly Candidate[];
  /** Tagged versions whose services are on their way out. */
  readonly going: readonly Deletion[];
  /** The tagged versions, each with what is known of its service. */
  readonly wanted: () => Successor[];
}

/**
 * Goes through the services page by page and keeps little of them: of many thousands, all at once would be most of what
 * the process has in memory.
 */
async function differences({
  mlflow,
  services,
  reconciler,
  removals,
  rollout,
  deployTagKey,
  log,
}: Omit<ResyncOptions, "reconcile" | "reporter">): Promise<Differences> {
  const tagged = new Map((await mlflow.searchTagged(deployTagKey)).map(version => [formatKey(version), version]));
  const byName = new Map<string, ModelVersion>();
  const settled = new Set<string>();
  const readiness = new Map<string, Readiness>();
  const unwanted: Candidate[] = [];
  const outdated: OutdatedService[] = [];
  const notReady: UnfinishedService[] = [];
  const going: Deletion[] = [];
  let managed = 0;
  let size = 0;

  /** The version of an object that lost its annotations, found by its name. */
  const versionNamed = (live: LiveInferenceService): ModelVersion | undefined => {
    if (!hasLostAnnotations(live.metadata)) return undefined;
    if (byName.size === 0) for (const version of tagged.values()) addByName(byName, version, services.namespace);
    const version = byName.get(live.metadata.name);
    return version !== undefined && serves(live.metadata, version) ? version : undefined;
  };

  for await (const page of services.managedPages()) {
    managed += page.length;
    await inParallel(page, CONCURRENCY, async live => {
      const key = keyOf(live.metadata) ?? versionNamed(live);
      const management = managementOf(live.metadata);
      if (key === undefined) {
        const { name, namespace } = live.metadata;
        if (management === "released") return;
        log.debug(
          { inference_service: name, namespace },
          "InferenceService carries our managed-by label but not our name and identity; it is left untouched",
        );
        return;
      }
      const isGoing = live.metadata.deletionTimestamp !== undefined;
      if (!isGoing && management === "managed") size++;
      const id = formatKey(key);
      const version = tagged.get(id);
      if (version === undefined) {
        if (!isGoing && management === "managed") unwanted.push({ key, live });
        return;
      }
      removals.seen(version);
      if (isGoing) {
        // Its end wakes us; until then there is nothing to apply to.
        settled.add(id);
        going.push({ inferenceService: live.metadata.name, finalizers: live.metadata.finalizers });
        return;
      }
      readiness.set(id, readinessOf(live));
      // What cannot be rendered differs; its reconcile says why.
      const standing = await reconciler.standing(version, live).catch(() => undefined);
      if (standing === undefined || standing.kind === "different") return;
      settled.add(id);
      if (standing.kind === "outdated") outdated.push({ key, live, differences: standing.differences });
      if (standing.kind !== "in place") return;
      const progress = rollout.progressOf(live);
      if (progress !== "done") notReady.push(unfinished(live, progress));
    });
  }
  const different = [...tagged]
    .filter(([id]) => !settled.has(id))
    .map(([, { model, version }]): ModelVersionKey => ({ model, version }));
  const wanted = (): Successor[] => [...tagged].map(([id, version]) => ({ version, service: readiness.get(id) }));
  return { tagged: tagged.size, managed, size, different, outdated, unfinished: notReady, unwanted, going, wanted };
}

function addByName(byName: Map<string, ModelVersion>, version: ModelVersion, namespace: string): void {
  try {
    byName.set(inferenceServiceName(version, namespace), version);
  } catch {
    // It cannot have a name; its reconcile says so.
  }
}
