import { hasLostAnnotations, identityLabels, keyOf, MODEL_LABEL, serves, VERSION_LABEL } from "../kserve/identity";
import type { InferenceServices } from "../kserve/inference-services";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import { managementOf } from "../kserve/management";
import { possibleServiceName } from "../kserve/names";
import type { MlflowReader, ModelVersion } from "../mlflow/client";
import { inParallel } from "../support/in-parallel";
import { formatKey } from "../support/model-version-key";
import type { ModelVersionKey } from "../support/model-version-key";
import type { FailureReporter } from "./failures";
import type { Outcome, Reconciler } from "./reconciler";
import type { HeldRemoval, UndecidedRemoval } from "./hold-reason";
import type { Candidate } from "./removal-evidence";
import type { Removals } from "./removals";
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
  /** Told of each service of a version; of thousands, nobody keeps the whole. */
  readonly onFound?: OnFound | undefined;
}

export type OnFound = (key: ModelVersionKey, live: LiveInferenceService) => void;

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

/** A service that is on its way out. */
export interface Deletion {
  readonly inferenceService: string;
  /** Its version is tagged: it is made again when this one is gone. */
  readonly isTagged: boolean;
  /** Whose owners have to let it go. */
  readonly finalizers: readonly string[];
}

/**
 * An object with our labels for a tagged version, and another name than the version's service has: the listener before
 * this module named some models otherwise. It serves beside the version's own service, and nobody looks after it.
 */
export interface Namesake {
  readonly inferenceService: string;
  /** The version's own service. */
  readonly beside: string;
}

/** A report, with what it only counts. */
export interface Resynced {
  readonly tagged: readonly ModelVersion[];
  readonly going: readonly Deletion[];
  readonly namesakes: readonly Namesake[];
  readonly report: ResyncReport;
  readonly heldRemovals: readonly HeldRemoval[];
  readonly undecidedRemovals: readonly UndecidedRemoval[];
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
  const { size, handsOff } = found;
  const { released, held, undecided } = await removals.review(found.unwanted, {
    size,
    handsOff,
    wanted: found.wanted(),
  });

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
  const { tagged, managed, going, namesakes } = found;
  const report = { tagged: tagged.length, managed, ...counts, held: held.length, outdated: state.outdated };
  const review = { heldRemovals: held, undecidedRemovals: undecided };
  return { tagged, report, ...review, rollout: state, going, namesakes };
}

interface Differences extends Pick<ResyncReport, "managed">, Pick<Resynced, "tagged"> {
  /** Our services that are not on their way out nor left to a person. */
  readonly size: number;
  /** Tagged versions whose service is missing or another one. */
  readonly different: readonly ModelVersionKey[];
  readonly outdated: readonly OutdatedService[];
  /** Services that have the form that they should have, and are not Ready in it yet. */
  readonly unfinished: readonly UnfinishedService[];
  /** Services whose versions are not among the tagged ones, or are in a storage that is not allowed. */
  readonly unwanted: readonly Candidate[];
  /** Versions that are not tagged, whose services are left to a person. */
  readonly handsOff: ReadonlySet<string>;
  /** Services that are on their way out. */
  readonly going: readonly Deletion[];
  readonly namesakes: readonly Namesake[];
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
  onFound = () => undefined,
}: Omit<ResyncOptions, "reconcile" | "reporter">): Promise<Differences> {
  const tagged = new Map((await mlflow.searchTagged(deployTagKey)).map(version => [formatKey(version), version]));
  const settled = new Set<string>();
  const notAllowed = new Set<string>();
  const readiness = new Map<string, Readiness>();
  const unwanted: Candidate[] = [];
  const handsOff = new Set<string>();
  const outdated: OutdatedService[] = [];
  const notReady: UnfinishedService[] = [];
  const going: Deletion[] = [];
  const namesakes: Namesake[] = [];
  let managed = 0;
  let size = 0;

  const byName = once(() => indexBy(tagged.values(), version => possibleServiceName(version, services.namespace)));
  const byLabels = once(() => indexBy(tagged.values(), version => labelsOf(identityLabels(version))));

  /** The version of an object that lost its annotations, found by its name. */
  const versionNamed = (live: LiveInferenceService): ModelVersion | undefined => {
    if (!hasLostAnnotations(live.metadata)) return undefined;
    const version = byName().get(live.metadata.name);
    return version !== undefined && serves(live.metadata, version) ? version : undefined;
  };

  for await (const page of services.managedPages()) {
    managed += page.length;
    await inParallel(page, CONCURRENCY, async live => {
      const key = keyOf(live.metadata) ?? versionNamed(live);
      const management = managementOf(live.metadata);
      if (key === undefined) {
        // It is left untouched, whatever it is.
        const version = byLabels().get(labelsOf(live.metadata.labels));
        const beside = version === undefined ? undefined : possibleServiceName(version, services.namespace);
        if (management === "managed" && beside !== undefined && beside !== live.metadata.name)
          namesakes.push({ inferenceService: live.metadata.name, beside });
        return;
      }
      const isGoing = live.metadata.deletionTimestamp !== undefined;
      if (!isGoing && management === "managed") size++;
      const id = formatKey(key);
      onFound(key, live);
      const version = tagged.get(id);
      if (version === undefined) {
        if (isGoing) going.push(deletionOf(live, false));
        else if (management === "managed") unwanted.push({ key, live });
        else handsOff.add(id);
        return;
      }
      removals.seen(version);
      if (isGoing) {
        // Its end wakes us; until then there is nothing to apply to.
        settled.add(id);
        going.push(deletionOf(live, true));
        return;
      }
      readiness.set(id, readinessOf(live));
      // What cannot be rendered differs; its reconcile says why.
      const standing = await reconciler.standing(version, live).catch(() => undefined);
      if (standing === undefined || standing.kind === "different") return;
      settled.add(id);
      if (standing.kind === "not allowed") {
        // Nobody waits for it to take over either.
        notAllowed.add(id);
        unwanted.push({ key, live, notAllowed: version });
      }
      if (standing.kind === "outdated") outdated.push({ key, live, differences: standing.differences });
      if (standing.kind !== "in place") return;
      const progress = rollout.progressOf(live);
      if (progress !== "done") notReady.push(unfinished(live, progress));
    });
  }
  const different = [...tagged]
    .filter(([id]) => !settled.has(id))
    .map(([, { model, version }]): ModelVersionKey => ({ model, version }));
  const wanted = (): Successor[] =>
    [...tagged].filter(([id]) => !notAllowed.has(id)).map(([id, version]) => ({ version, service: readiness.get(id) }));
  const lists = { different, outdated, unfinished: notReady, unwanted, handsOff, going, namesakes };
  return { tagged: [...tagged.values()], managed, size, ...lists, wanted };
}

function deletionOf({ metadata: { name, finalizers } }: LiveInferenceService, isTagged: boolean): Deletion {
  return { inferenceService: name, isTagged, finalizers };
}

function labelsOf(labels: Readonly<Record<string, string>>): string {
  return JSON.stringify([labels[MODEL_LABEL], labels[VERSION_LABEL]]);
}

function indexBy(
  versions: Iterable<ModelVersion>,
  keyOfVersion: (version: ModelVersion) => string | undefined,
): ReadonlyMap<string, ModelVersion> {
  const index = new Map<string, ModelVersion>();
  for (const version of versions) {
    const key = keyOfVersion(version);
    if (key !== undefined) index.set(key, version);
  }
  return index;
}

/** Does a piece of work when it is asked for first; most resyncs need no index. */
function once<T extends object>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}
