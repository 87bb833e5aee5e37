import { hasApplied } from "../kserve/field-ownership";
import { runIdOf } from "../kserve/identity";
import type { RegistryRecord } from "../kserve/identity";
import { FIELD_MANAGER } from "../kserve/inference-services";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import type { ModelVersion } from "../mlflow/client";
import { inParallel } from "../support/in-parallel";
import type { ModelVersionKey } from "../support/model-version-key";
import { decide, sameDecision } from "./decision";
import type { HoldReason } from "./hold-reason";
import { originOf, setBackTo } from "./provenance";
import type { AnsweringRegistry, Origined } from "./provenance";
import type { Successor } from "./successors";

/** Runs that MLflow is asked about at the same time. */
const CONCURRENCY = 16;

/** A service whose version is not among the tagged ones, or is in a storage that is not allowed. */
export interface Candidate {
  readonly key: ModelVersionKey;
  readonly live: LiveInferenceService;
  /** The tagged version, where it is its storage that is not allowed. */
  readonly notAllowed?: ModelVersion | undefined;
}

/** All services as one pass found them. */
export interface Fleet {
  /** Services that are ours, candidates included; not those that are on their way out or left to a person. */
  readonly size: number;
  /** The tagged versions, with their services where there are any. */
  readonly wanted: readonly Successor[];
  /** Ids of versions that are not tagged, whose services are left to a person for now. */
  readonly handsOff?: ReadonlySet<string>;
}

/** A candidate of which MLflow said that it is to go, and what speaks for and against that. */
export interface Confirmed extends Candidate {
  /** MLflow's version; undefined where it says that it does not exist. */
  readonly answer: ModelVersion | undefined;
  /** Which registry its version came from, as the service records it or as this process saw it. */
  readonly known: RegistryRecord | undefined;
}

/** Whether MLflow has the run that made a service's model. */
export type RunSearch = (candidate: Candidate) => Promise<boolean>;

/**
 * What speaks against a removal by itself, whatever goes beside it, and whoever wishes it.
 */
export async function doubtAbout(
  one: Confirmed,
  registry: AnsweringRegistry,
  hasRun: RunSearch,
): Promise<Extract<HoldReason, "other registry" | "unknown registry"> | undefined> {
  const origin = originOf(one.known, registry, one.answer);
  if (origin === "other") return "other registry";
  return one.answer === undefined && origin === "unknown" && !(await hasRun(one)) ? "unknown registry" : undefined;
}

/** Whether an answer of MLflow's confirms that a service is to go. */
export function confirms(answer: ModelVersion | undefined, { notAllowed }: Candidate, deployTagKey: string): boolean {
  const decision = decide(answer, deployTagKey);
  if (decision.kind === "remove") return true;
  // What was found about the storage holds for the version as it was then.
  return notAllowed !== undefined && sameDecision(decision, { kind: "serve", version: notAllowed });
}

/** Whether the version is one of the newest, all of which a registry that was set back does not know. */
export function isSetBack({ answer, known }: Confirmed, setBack: number | undefined): boolean {
  return answer === undefined && setBack !== undefined && (known?.versionCreatedAt ?? 0) >= setBack;
}

/** Whether the service is none that this module ever applied: it may be somebody's who has never heard of it. */
export function isNeverApplied({ live }: Candidate): boolean {
  return !hasApplied(live, FIELD_MANAGER);
}

/** The creation time from which on the registry knows no version any more, if it looks set back: see {@link setBackTo}. */
export async function findSetBack(
  confirmed: readonly Confirmed[],
  { wanted }: Fleet,
  hasRun: RunSearch,
): Promise<number | undefined> {
  const missing = confirmed.filter(({ answer }) => answer === undefined);
  if (missing.length < 2) return undefined;
  const services: Origined[] = await inParallel(confirmed, CONCURRENCY, async one => ({
    record: one.known,
    exists: one.answer !== undefined,
    hasRun: one.answer === undefined && (await hasRun(one)),
  }));
  for (const { version } of wanted) {
    const record = { registryCreatedAt: undefined, versionCreatedAt: version.createdAt };
    services.push({ record, exists: true, hasRun: true });
  }
  return setBackTo(services);
}

/** The wanted versions of the candidate's model, and the same version under the model's new name. */
export function successorsOf(candidate: Confirmed, { wanted }: Fleet): Successor[] {
  return wanted.filter(({ version }) => version.model === candidate.key.model || isRenamed(candidate, version));
}

/**
 * Those whose models are lost with them: neither served under the model's new name, nor followed by another version of the
 * model, as in a swap. A tagged version stands for one of them at the most.
 */
export function withoutReplaced<T extends Confirmed>(confirmed: readonly T[], { wanted }: Fleet): T[] {
  const taken = new Set<ModelVersion>();
  const replacedBy = (isReplacement: (one: T, version: ModelVersion) => boolean) => (one: T) => {
    const found = wanted.find(({ version }) => !taken.has(version) && isReplacement(one, version))?.version;
    if (found !== undefined) taken.add(found);
    return found !== undefined;
  };
  const isRenamedOne = replacedBy(isRenamed);
  const isFollowed = replacedBy(({ key }, version) => version.model === key.model);
  return confirmed.filter(one => !isRenamedOne(one)).filter(one => !isFollowed(one));
}

/** Whether a version is the candidate's under its model's new name: a rename leaves version, creation and run alone. */
export function isRenamed({ key, live, known, answer }: Confirmed, version: ModelVersion): boolean {
  return (
    answer === undefined &&
    version.version === key.version &&
    version.createdAt !== 0 &&
    version.createdAt === known?.versionCreatedAt &&
    version.runId === (runIdOf(live.metadata) ?? "")
  );
}
