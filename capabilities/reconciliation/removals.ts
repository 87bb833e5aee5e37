import { registryRecordOf, runIdOf } from "../kserve/identity";
import type { RegistryRecord } from "../kserve/identity";
import { isReady } from "../kserve/service-state";
import type { MlflowReader, ModelVersion } from "../mlflow/client";
import { BoundedCache } from "../support/bounded-cache";
import { inParallel } from "../support/in-parallel";
import { formatKey } from "../support/model-version-key";
import type { ModelVersionKey } from "../support/model-version-key";
import type { Cause } from "./cause";
import { decide } from "./decision";
import { explainForeign, explainSilence, isHandover, OTHER_ANSWER } from "./hold-reason";
import type { HeldRemoval, HoldReason, UndecidedRemoval } from "./hold-reason";
import type { IsForeign } from "./ownership";
import type { AnsweringRegistry } from "./provenance";
import {
  confirms,
  doubtAbout,
  findSetBack,
  isNeverApplied,
  isSetBack,
  isRenamed,
  successorsOf,
  withoutReplaced,
} from "./removal-evidence";
import type { Candidate, Confirmed, Fleet } from "./removal-evidence";
import { isHeldEnough, isMass } from "./removal-limits";
import type { RemovalLimits } from "./removal-limits";
import { handoverOf, readinessOf } from "./successors";
import type { Successor } from "./successors";

/** Versions that MLflow is asked about at the same time. */
const CONCURRENCY = 16;

/** Versions that this process saw served; one short entry each. */
const SEEN_CAPACITY = 50_000;

/** What becomes of the services that one pass would remove. */
export interface Review {
  /** Those that may go now; {@link Removals.decide} lets them, too. */
  readonly released: readonly ModelVersionKey[];
  readonly held: readonly HeldRemoval[];
  /** The others: MLflow did not say that they are to go, and they stay as they are until it says something. */
  readonly undecided: readonly UndecidedRemoval[];
}

export type Verdict =
  | { readonly kind: "go" }
  | { readonly kind: "hold"; readonly reason: HoldReason | "left to the poll" };

/**
 * The one place where it is decided whether a service that MLflow does not want, or that the settings do not allow, may
 * go. It knows cause and evidence.
 */
export interface Removals {
  /** Notes that this MLflow wants the version, which says where it comes from. */
  readonly seen: (version: ModelVersion, registryCreatedAt?: number) => void;
  /**
   * Decides about one service, at the moment at which it would be deleted.
   *
   * @param answer what MLflow said: no such version, or one that is not to be deployed
   * @throws MlflowError when it cannot be found out
   */
  readonly decide: (cause: Cause, candidate: Candidate, answer: ModelVersion | undefined) => Promise<Verdict>;
  /** Decides about all services that one poll found unwanted. What is held stays held until it is confirmed itself. */
  readonly review: (candidates: readonly Candidate[], fleet: Fleet) => Promise<Review>;
}

export interface RemovalOptions {
  readonly limits: RemovalLimits;
  readonly deployTagKey: string;
  /** The alias of the version that a model that follows its aliases is served by. */
  readonly championAlias: string;
  readonly isForeign: IsForeign;
  readonly mlflow: Pick<MlflowReader, "getModelVersion" | "getRun" | "getDefaultExperimentCreation" | "searchTagged">;
  /** The other versions of the model that are tagged, with their services, as they are now. */
  readonly siblings: (key: ModelVersionKey) => Promise<readonly Successor[]>;
  /**
   * What a version's service is to its model's endpoint; undefined when nothing. It throws KubernetesError when that cannot be
   * found out.
   */
  readonly endpointUse: (key: ModelVersionKey) => Promise<"endpoint" | "former champion" | undefined>;
  /** The workspace that MLflow is asked for; its default one when left out. */
  readonly workspace?: string | undefined;
  /** Milliseconds on a clock that only goes forward. */
  readonly now?: () => number;
  /** Unix milliseconds, to compare with the age of objects. */
  readonly wallClock?: () => number;
}

interface Held {
  readonly reason: HoldReason;
  /** One of {@link LASTING} that something weightier has come before; it counts again afterwards. */
  readonly underlying: HoldReason | undefined;
  /** Suspicions that have had their time: they hold it no longer, while its model still may. */
  readonly over: ReadonlySet<HoldReason>;
  /** What MLflow said about it then: of another word, nothing is over. */
  readonly said: Word;
  readonly since: number;
  readonly uid: string;
}

/** What MLflow says about a version that is not to be served, as far as it matters for how long its service is held. */
type Word = "no such version" | "not tagged" | "no alias on it" | "wanted";

function wordOf({ answer, notAllowed }: Confirmed): Word {
  if (notAllowed !== undefined) return "wanted";
  if (answer === undefined) return "no such version";
  return answer.modelWish === undefined ? "not tagged" : "no alias on it";
}

/** A suspicion that is about the moment at which it arose: it lasts its time, whatever else comes and goes meanwhile. */
const LASTING: ReadonlySet<HoldReason> = new Set<HoldReason>(["mass", "registry set back"]);

/** One that is judged, with what this process remembers of it. */
interface Remembered extends Confirmed {
  readonly id: string;
  /** This process saw the version tagged, in this very registry. */
  readonly wasSeen: boolean;
}

/** What is held is remembered by this process alone: a new one begins anew, which only takes longer. */
export function createRemovals(options: RemovalOptions): Removals {
  const {
    limits,
    deployTagKey,
    championAlias,
    isForeign,
    mlflow,
    siblings,
    endpointUse,
    workspace,
    now = () => performance.now(),
    wallClock = Date.now,
  } = options;
  const seen = new BoundedCache<RegistryRecord>(SEEN_CAPACITY);
  let held = new Map<string, Held>();
  /** Uids of services that the last review let go. */
  let released = new Set<string>();
  let lastRegistry: number | undefined;

  const readRegistry = async (): Promise<AnsweringRegistry> => {
    // Not to be seen (no rights on the experiment) is as good as not told: then the version's own creation must do.
    lastRegistry = await mlflow.getDefaultExperimentCreation().catch(() => undefined);
    return { createdAt: lastRegistry, workspace };
  };
  const knownOf = ({ key, live }: Candidate): RegistryRecord | undefined => {
    const own = seen.get(formatKey(key));
    const recorded = registryRecordOf(live.metadata);
    // What this process saw while MLflow did not tell its registry takes nothing away from what is recorded.
    const isLess = own?.registryCreatedAt === undefined && own?.versionCreatedAt === recorded?.versionCreatedAt;
    return isLess ? recorded : (own ?? recorded);
  };
  /** The version of a service under its model's new name, with its service, where MLflow has it under another one now. */
  const renamedOf = async (one: Confirmed): Promise<Successor[]> => {
    const tagged = await mlflow.searchTagged(deployTagKey);
    const renamed = tagged.find(version => isRenamed(one, version));
    if (renamed === undefined) return [];
    const ofNewName = await siblings({ model: renamed.model, version: "" });
    return ofNewName.filter(({ version }) => version.version === renamed.version);
  };
  const hasRun = async ({ live }: Candidate): Promise<boolean> => {
    const runId = runIdOf(live.metadata);
    if (runId === undefined) return false;
    return await mlflow.getRun(runId).then(
      run => run !== undefined,
      () => false,
    );
  };

  /**
   * Why a version stays for the sake of its model; undefined when it may go.
   *
   * @param successors the model's other versions that are wanted
   */
  const reasonToStay = async (
    { key, live }: Candidate,
    answer: ModelVersion | undefined,
    successors: () => Promise<readonly Successor[]> | readonly Successor[],
  ): Promise<HoldReason | undefined> => {
    // A version with a tag of its own speaks for itself, and one that is gone from MLflow for nobody.
    const isFormer = answer?.modelWish !== undefined && answer.modelWish.alias === undefined;
    const { startedAt } = readinessOf(live);
    // One that waits for another without an end is not over because its pod was moved just now.
    const isServing = isReady(live) || (isFormer && wallClock() - startedAt < limits.handover);
    if (!isServing) return undefined;
    const facts = { now: wallClock(), handover: limits.handover, championAlias };
    return handoverOf(answer, await successors(), facts) ?? (isFormer ? await endpointUse(key) : undefined);
  };

  /**
   * Whether MLflow says it once more now that it told its registry: the first answer may have been another MLflow's, to
   * which the address led for a moment. About the very version there is no doubt.
   */
  const isConfirmed = async (
    key: ModelVersionKey,
    known: RegistryRecord | undefined,
    answer: ModelVersion | undefined,
  ): Promise<boolean> => {
    if (answer !== undefined && answer.createdAt !== 0 && answer.createdAt === known?.versionCreatedAt) return true;
    return decide(await mlflow.getModelVersion(key), deployTagKey).kind === "remove";
  };

  /** What MLflow says about each of ours, in this pass; those without an answer stay as they are. */
  const confirm = async (
    candidates: readonly Candidate[],
  ): Promise<{ confirmed: Remembered[]; silent: Set<string>; undecided: UndecidedRemoval[] }> => {
    const confirmed: Remembered[] = [];
    const silent = new Set<string>();
    const undecided: UndecidedRemoval[] = [];
    await inParallel(candidates, CONCURRENCY, async candidate => {
      const { key, live } = candidate;
      const id = formatKey(key);
      const leave = (cause: string, answer?: ModelVersion): number => undecided.push({ key, cause, answer });
      try {
        const answer = await mlflow.getModelVersion(key);
        if (!confirms(answer, candidate, deployTagKey)) leave(OTHER_ANSWER, answer);
        else if (isForeign(live, key, answer)) leave(explainForeign(live.metadata));
        else
          confirmed.push({ ...candidate, id, answer, known: knownOf(candidate), wasSeen: seen.get(id) !== undefined });
      } catch (error) {
        silent.add(id);
        leave(explainSilence(error, live.metadata));
      }
    });
    return { confirmed, silent, undecided };
  };

  return {
    seen(version, registryCreatedAt = lastRegistry) {
      const id = formatKey(version);
      const before = seen.get(id);
      const registry = registryCreatedAt ?? before?.registryCreatedAt;
      seen.set(id, { registryCreatedAt: registry, versionCreatedAt: version.createdAt, workspace });
    },

    async decide(cause, candidate, answer) {
      if (cause === "poll" && released.has(candidate.live.metadata.uid)) return { kind: "go" };
      if (cause !== "delivery") return { kind: "hold", reason: "left to the poll" };
      const known = knownOf(candidate);
      const doubt = await doubtAbout({ ...candidate, answer, known }, await readRegistry(), hasRun);
      if (doubt !== undefined) return { kind: "hold", reason: doubt };
      if (!(await isConfirmed(candidate.key, known, answer))) return { kind: "hold", reason: "left to the poll" };
      const reason = await reasonToStay(candidate, answer, async () => [
        ...(await siblings(candidate.key)),
        ...(answer === undefined ? await renamedOf({ ...candidate, answer, known }) : []),
      ]);
      return reason === undefined ? { kind: "go" } : { kind: "hold", reason };
    },

    async review(candidates, fleet) {
      released = new Set();
      const time = now();
      const before = held;
      const after = new Map<string, Held>();
      // Who takes hands off looks into it, and finds the time of the hold before them when they are done.
      for (const id of fleet.handsOff ?? []) {
        const last = before.get(id);
        if (last !== undefined) after.set(id, { ...last, since: time, over: new Set() });
      }
      if (candidates.length === 0) {
        held = after;
        return { released: [], held: [], undecided: [] };
      }
      const lastOf = ({ id, live }: Remembered): Held | undefined => {
        const last = before.get(id);
        return last?.uid === live.metadata.uid ? last : undefined;
      };
      const isKept = (one: Remembered): boolean => {
        const last = lastOf(one);
        return last !== undefined && isHandover(last.reason) && last.said === wordOf(one);
      };
      const [registry, { confirmed, silent, undecided }] = await Promise.all([readRegistry(), confirm(candidates)]);
      const setBack = await findSetBack(confirmed, fleet, hasRun);
      // Those that their models keep are no loss that is to come.
      const losses = withoutReplaced(confirmed, fleet).filter(one => !isKept(one));
      // Of those without an answer nobody knows that they are to stay.
      const isExpected = silent.size === 0 && sawTagGo(losses[0]);
      const mass = isMass(limits, losses.length + silent.size, fleet.size, isExpected);
      const isVouchedFor = fleet.wanted.some(({ service }) => service !== undefined);
      const goes: ModelVersionKey[] = [];
      const stays: HeldRemoval[] = [];
      const lastingOf = (last: Held | undefined): HoldReason | undefined =>
        last !== undefined && LASTING.has(last.reason) ? last.reason : last?.underlying;
      /** Holds one, unless it has been held for that reason long enough. */
      const holds = (one: Remembered, reason: HoldReason, over: ReadonlySet<HoldReason>): boolean => {
        const { key, live, id, notAllowed } = one;
        const last = lastOf(one);
        const since = last?.reason === reason ? last.since : time;
        if (isHeldEnough(limits, reason, time - since)) return false;
        const underlying = lastingOf(last);
        const isOver = underlying !== undefined && over.has(underlying);
        const { uid } = live.metadata;
        after.set(id, { reason, underlying: isOver ? undefined : underlying, over, since, uid, said: wordOf(one) });
        stays.push({ key, inferenceService: live.metadata.name, reason, isNotAllowed: notAllowed !== undefined });
        return true;
      };
      await inParallel(confirmed, CONCURRENCY, async one => {
        const doubt = await doubtAbout(one, registry, hasRun);
        const isOfNobody = doubt === "unknown registry" && !isVouchedFor && !one.wasSeen;
        const last = lastOf(one);
        let over = last !== undefined && last.said === wordOf(one) ? last.over : new Set<HoldReason>();
        const suspicions = [
          isOfNobody ? "unknown to all" : doubt,
          isSetBack(one, setBack) ? "registry set back" : undefined,
          mass ? "mass" : lastingOf(last),
          isNeverApplied(one) ? "never applied" : undefined,
        ] as const;
        const suspicion = suspicions.find(reason => reason !== undefined && !over.has(reason));
        if (suspicion !== undefined) {
          if (holds(one, suspicion, over)) return;
          over = new Set([...over, suspicion]);
        }
        // Of an endpoint that cannot be read, nobody knows where it leads.
        const stay = await reasonToStay(one, one.answer, () => successorsOf(one, fleet)).catch(
          () => "endpoint" as const,
        );
        if (stay !== undefined && holds(one, stay, over)) return;
        goes.push(one.key);
        released.add(one.live.metadata.uid);
      });
      // Without an answer nothing is confirmed and nothing is forgotten.
      for (const { key, live, notAllowed } of candidates) {
        const last = before.get(formatKey(key));
        if (last === undefined || !silent.has(formatKey(key))) continue;
        after.set(formatKey(key), last);
        const isNotAllowed = notAllowed !== undefined;
        stays.push({ key, inferenceService: live.metadata.name, reason: last.reason, isNotAllowed });
      }
      held = after;
      const isHeld = (id: string): boolean => silent.has(id) && after.has(id);
      return { released: goes, held: stays, undecided: undecided.filter(({ key }) => !isHeld(formatKey(key))) };
    },
  };
}

/** Whether this process saw the tag of a version come and go. */
function sawTagGo(one: Remembered | undefined): boolean {
  return one?.wasSeen === true && one.answer !== undefined && one.notAllowed === undefined;
}
