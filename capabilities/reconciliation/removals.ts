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
import type { HeldRemoval, HoldReason } from "./hold-reason";
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
import { handoverOf } from "./successors";
import type { Successor } from "./successors";

/** Versions that MLflow is asked about at the same time. */
const CONCURRENCY = 16;

/** Versions that this process saw served; one short entry each. */
const SEEN_CAPACITY = 50_000;

/** What counts as a mass deletion, and how long things are held. Times in milliseconds. */
export interface RemovalLimits {
  /** Part of all services (0 to 1) that one pass may remove without more ado. */
  readonly share: number;
  /** Number of services that one pass may always remove, unless they are all there are. */
  readonly count: number;
  /** Time that a suspicious removal is held. 0 holds none, but for those that another MLflow is asked about. */
  readonly hold: number;
  /** Time that a model's last Ready version waits for its successor, at the most. */
  readonly handover: number;
}

/** What becomes of the services that one pass would remove. */
export interface Review {
  /** Those that may go now; {@link Removals.decide} lets them, too. */
  readonly released: readonly ModelVersionKey[];
  readonly held: readonly HeldRemoval[];
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
  readonly isForeign: IsForeign;
  readonly mlflow: Pick<MlflowReader, "getModelVersion" | "getRun" | "getDefaultExperimentCreation" | "searchTagged">;
  /** The other versions of the model that are tagged, with their services, as they are now. */
  readonly siblings: (key: ModelVersionKey) => Promise<readonly Successor[]>;
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
  readonly since: number;
  readonly uid: string;
}

/** A suspicion that is about the moment at which it arose: it lasts its time, whatever else comes and goes meanwhile. */
const LASTING: ReadonlySet<HoldReason> = new Set<HoldReason>(["mass", "registry set back"]);

/** Held until something else comes. Without a known registry there is no evidence, however long MLflow says the same. */
const ENDLESS: ReadonlySet<HoldReason> = new Set<HoldReason>([
  ...(["other registry", "unknown to all"] as const),
  // A model that follows its aliases always has a version, if it ever had one that is Ready.
  ...(["alias is starting", "no alias"] as const),
]);

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
    isForeign,
    mlflow,
    siblings,
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
  ): Promise<{ confirmed: Remembered[]; silent: Set<string> }> => {
    const confirmed: Remembered[] = [];
    const silent = new Set<string>();
    await inParallel(candidates, CONCURRENCY, async candidate => {
      const id = formatKey(candidate.key);
      try {
        const answer = await mlflow.getModelVersion(candidate.key);
        if (!confirms(answer, candidate, deployTagKey) || isForeign(candidate.live, candidate.key, answer)) return;
        confirmed.push({ ...candidate, id, answer, known: knownOf(candidate), wasSeen: seen.get(id) !== undefined });
      } catch {
        silent.add(id);
      }
    });
    return { confirmed, silent };
  };

  const isMass = (count: number, size: number, alone: Remembered | undefined): boolean => {
    if (count === 0) return false;
    // The only service there is goes when this process saw its tag come and go; else all of them is always a mass.
    const sawTagGo = alone?.wasSeen === true && alone.answer !== undefined && alone.notAllowed === undefined;
    if (count >= size) return !(size === 1 && sawTagGo);
    return count > limits.count && count > limits.share * size;
  };

  const isOver = (before: Held, time: number): boolean => {
    if (ENDLESS.has(before.reason)) return false;
    const limit = before.reason === "successor is starting" ? limits.handover : limits.hold;
    return time - before.since >= limit;
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
      if (!isReady(candidate.live)) return { kind: "go" };
      const successors = [
        ...(await siblings(candidate.key)),
        ...(answer === undefined ? await renamedOf({ ...candidate, answer, known }) : []),
      ];
      const reason = handoverOf(answer, successors, wallClock(), limits.handover);
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
        if (last !== undefined) after.set(id, { ...last, since: time });
      }
      if (candidates.length === 0) {
        held = after;
        return { released: [], held: [] };
      }
      const [registry, { confirmed, silent }] = await Promise.all([readRegistry(), confirm(candidates)]);
      const setBack = await findSetBack(confirmed, fleet, hasRun);
      const losses = withoutReplaced(confirmed, fleet);
      // Of those without an answer nobody knows that they are to stay.
      const mass = isMass(losses.length + silent.size, fleet.size, silent.size > 0 ? undefined : losses[0]);
      const isVouchedFor = fleet.wanted.some(({ service }) => service !== undefined);
      const goes: ModelVersionKey[] = [];
      const stays: HeldRemoval[] = [];
      const lastOf = ({ id, live }: Remembered): Held | undefined => {
        const last = before.get(id);
        return last?.uid === live.metadata.uid ? last : undefined;
      };
      const lastingOf = (last: Held | undefined): HoldReason | undefined =>
        last !== undefined && LASTING.has(last.reason) ? last.reason : last?.underlying;
      const hold = (one: Remembered, reason: HoldReason): void => {
        const { key, live, id, notAllowed } = one;
        const last = lastOf(one);
        const since = last?.reason === reason ? last.since : time;
        const now = { reason, underlying: lastingOf(last), since, uid: live.metadata.uid };
        if (isOver(now, time)) {
          goes.push(key);
          released.add(live.metadata.uid);
        } else {
          after.set(id, now);
          stays.push({ key, inferenceService: live.metadata.name, reason, isNotAllowed: notAllowed !== undefined });
        }
      };
      await inParallel(confirmed, CONCURRENCY, async one => {
        const doubt = await doubtAbout(one, registry, hasRun);
        const isOfNobody = doubt === "unknown registry" && !isVouchedFor && !one.wasSeen;
        const reason =
          (isOfNobody ? "unknown to all" : doubt) ??
          (isSetBack(one, setBack) ? "registry set back" : undefined) ??
          (mass ? "mass" : lastingOf(lastOf(one))) ??
          (isNeverApplied(one) ? "never applied" : undefined) ??
          (isReady(one.live)
            ? handoverOf(one.answer, successorsOf(one, fleet), wallClock(), limits.handover)
            : undefined);
        if (reason !== undefined) hold(one, reason);
        else {
          goes.push(one.key);
          released.add(one.live.metadata.uid);
        }
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
      return { released: goes, held: stays };
    },
  };
}
