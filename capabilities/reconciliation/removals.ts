import { registryRecordOf, runIdOf } from "../kserve/identity";
import type { RegistryRecord } from "../kserve/identity";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import { isReady } from "../kserve/service-state";
import type { MlflowReader, ModelVersion } from "../mlflow/client";
import { BoundedCache } from "../support/bounded-cache";
import { inParallel } from "../support/in-parallel";
import { formatKey } from "../support/model-version-key";
import type { ModelVersionKey } from "../support/model-version-key";
import type { Cause } from "./cause";
import { decide } from "./decision";
import { originOf, setBackTo } from "./provenance";
import type { Origined } from "./provenance";
import { awaitedSuccessor } from "./successors";
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

/** Why a service that MLflow does not want stays for now. */
export type HoldReason =
  /** Too many at once, or all there are. */
  | "mass"
  /** Its version came from another MLflow than the one that answers. Held until that one answers, or a person decides. */
  | "other registry"
  /** MLflow does not know the version, and nobody knows whether it ever did. */
  | "unknown registry"
  /** The registry looks like an older state of itself, as after a restore. */
  | "registry set back"
  /** It is the model's last Ready version, and another one is starting. */
  | "successor is starting";

/** A service that stays although MLflow does not want it. */
export interface HeldRemoval {
  readonly key: ModelVersionKey;
  readonly inferenceService: string;
  readonly reason: HoldReason;
}

/** What becomes of the services that one pass would remove. */
export interface Review {
  /** Those that may go now; {@link Removals.decide} lets them, too. */
  readonly released: readonly ModelVersionKey[];
  readonly held: readonly HeldRemoval[];
}

/** A service whose version is not among the tagged ones. */
export interface Candidate {
  readonly key: ModelVersionKey;
  readonly live: LiveInferenceService;
}

/** All services as one pass found them. */
export interface Fleet {
  /** Services that are ours, candidates included; not those that are on their way out or left to a person. */
  readonly size: number;
  /** The tagged versions, with their services where there are any. */
  readonly wanted: readonly Successor[];
}

export type Verdict =
  | { readonly kind: "go" }
  | { readonly kind: "hold"; readonly reason: HoldReason | "left to the poll" };

/** The one place where it is decided whether a service that MLflow does not want may go. It knows cause and evidence. */
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
  readonly mlflow: Pick<MlflowReader, "getModelVersion" | "getRun" | "getDefaultExperimentCreation">;
  /** The other versions of the model that are tagged, with their services, as they are now. */
  readonly siblings: (key: ModelVersionKey) => Promise<readonly Successor[]>;
  /** Milliseconds on a clock that only goes forward. */
  readonly now?: () => number;
  /** Unix milliseconds, to compare with the age of objects. */
  readonly wallClock?: () => number;
}

/** Why a service stays for now, for a person: half a sentence, after the name of the service. */
export function explainHold(reason: HoldReason | "left to the poll"): string {
  switch (reason) {
    case "mass":
      return "many or all services are to go at once";
    case "other registry":
      return "MLflow's answer is no evidence: the service came from another MLflow than the one at MLFLOW_KSERVE_MLFLOW_TRACKING_URI";
    case "unknown registry":
      return "MLflow does not know the version, and the service does not tell which MLflow it came from";
    case "registry set back":
      return "MLflow does not know the newest versions, as after a restore of an older backup";
    case "successor is starting":
      return "it is the model's last Ready version, and goes when the version that is starting is Ready";
    case "left to the poll":
      return "the next poll decides whether it goes";
  }
}

interface Held {
  readonly reason: HoldReason;
  readonly since: number;
  readonly uid: string;
}

/** A candidate of which MLflow said, in this pass, that it is to go. */
interface Confirmed extends Candidate {
  readonly id: string;
  readonly answer: ModelVersion | undefined;
  readonly known: RegistryRecord | undefined;
  /** This process saw the version tagged, in this very registry. */
  readonly wasSeen: boolean;
}

/** What is held is remembered by this process alone: a new one begins anew, which only takes longer. */
export function createRemovals(options: RemovalOptions): Removals {
  const { limits, deployTagKey, mlflow, siblings, now = () => performance.now(), wallClock = Date.now } = options;
  const seen = new BoundedCache<RegistryRecord>(SEEN_CAPACITY);
  let held = new Map<string, Held>();
  /** Uids of services that the last review let go. */
  let released = new Set<string>();
  let lastRegistry: number | undefined;

  const readRegistry = async (): Promise<number | undefined> => {
    // Not to be seen (no rights on the experiment) is as good as not told: then the version's own creation must do.
    lastRegistry = await mlflow.getDefaultExperimentCreation().catch(() => undefined);
    return lastRegistry;
  };
  const knownOf = ({ key, live }: Candidate): RegistryRecord | undefined => {
    const own = seen.get(formatKey(key));
    const recorded = registryRecordOf(live.metadata);
    // What this process saw while MLflow did not tell its registry takes nothing away from what is recorded.
    const isLess = own?.registryCreatedAt === undefined && own?.versionCreatedAt === recorded?.versionCreatedAt;
    return isLess ? recorded : (own ?? recorded);
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

  /** What MLflow says about each, in this pass; those without an answer stay as they are. */
  const confirm = async (
    candidates: readonly Candidate[],
  ): Promise<{ confirmed: Confirmed[]; silent: Set<string> }> => {
    const confirmed: Confirmed[] = [];
    const silent = new Set<string>();
    await inParallel(candidates, CONCURRENCY, async candidate => {
      const id = formatKey(candidate.key);
      try {
        const answer = await mlflow.getModelVersion(candidate.key);
        if (decide(answer, deployTagKey).kind !== "remove") return;
        confirmed.push({ ...candidate, id, answer, known: knownOf(candidate), wasSeen: seen.get(id) !== undefined });
      } catch {
        silent.add(id);
      }
    });
    return { confirmed, silent };
  };

  /** What speaks against each removal by itself. */
  const suspicionOf = async (
    one: Confirmed,
    registry: number | undefined,
    setBack: number | undefined,
  ): Promise<HoldReason | undefined> => {
    const origin = originOf(one.known, registry, one.answer);
    if (origin === "other") return "other registry";
    if (one.answer === undefined) {
      if (origin === "unknown" && !(await hasRun(one))) return "unknown registry";
      if (setBack !== undefined && (one.known?.versionCreatedAt ?? 0) >= setBack) return "registry set back";
    }
    return undefined;
  };

  const isMass = (count: number, size: number, alone: Confirmed | undefined): boolean => {
    if (count === 0) return false;
    // The only service there is goes when this process saw its tag come and go; else all of them is always a mass.
    if (count >= size) return !(size === 1 && alone?.wasSeen === true && alone.answer !== undefined);
    return count > limits.count && count > limits.share * size;
  };

  const isOver = (before: Held, time: number): boolean => {
    if (before.reason === "other registry") return false;
    const limit = before.reason === "successor is starting" ? limits.handover : limits.hold;
    return time - before.since >= limit;
  };

  return {
    seen(version, registryCreatedAt = lastRegistry) {
      const id = formatKey(version);
      const before = seen.get(id);
      const registry = registryCreatedAt ?? before?.registryCreatedAt;
      seen.set(id, { registryCreatedAt: registry, versionCreatedAt: version.createdAt });
    },

    async decide(cause, candidate, answer) {
      if (cause === "poll" && released.has(candidate.live.metadata.uid)) return { kind: "go" };
      if (cause !== "delivery") return { kind: "hold", reason: "left to the poll" };
      const known = knownOf(candidate);
      const origin = originOf(known, await readRegistry(), answer);
      if (origin === "other") return { kind: "hold", reason: "other registry" };
      if (answer === undefined && origin === "unknown" && !(await hasRun(candidate)))
        return { kind: "hold", reason: "unknown registry" };
      if (!(await isConfirmed(candidate.key, known, answer))) return { kind: "hold", reason: "left to the poll" };
      if (!isReady(candidate.live)) return { kind: "go" };
      const starting = awaitedSuccessor(await siblings(candidate.key), wallClock(), limits.handover);
      return starting === undefined ? { kind: "go" } : { kind: "hold", reason: "successor is starting" };
    },

    async review(candidates, fleet) {
      released = new Set();
      if (candidates.length === 0) {
        held = new Map();
        return { released: [], held: [] };
      }
      const [registry, { confirmed, silent }] = await Promise.all([readRegistry(), confirm(candidates)]);
      const setBack = await findSetBack(confirmed, fleet, hasRun);
      // A model that has another name now is not lost.
      const losses = withoutRenamed(confirmed, fleet);
      const mass = isMass(losses.length, fleet.size, losses[0]);
      const time = now();
      const before = held;
      const after = new Map<string, Held>();
      const goes: ModelVersionKey[] = [];
      const stays: HeldRemoval[] = [];
      const hold = ({ key, live, id }: Confirmed, reason: HoldReason): void => {
        const last = before.get(id);
        const since = last?.reason === reason && last.uid === live.metadata.uid ? last.since : time;
        const now = { reason, since, uid: live.metadata.uid };
        if (isOver(now, time)) {
          goes.push(key);
          released.add(live.metadata.uid);
        } else {
          after.set(id, now);
          stays.push({ key, inferenceService: live.metadata.name, reason });
        }
      };
      await inParallel(confirmed, CONCURRENCY, async one => {
        const last = before.get(one.id);
        const isHeld = last?.reason === "mass" && last.uid === one.live.metadata.uid;
        const reason =
          (await suspicionOf(one, registry, setBack)) ??
          (mass || isHeld ? "mass" : undefined) ??
          (isReady(one.live) && isAwaiting(one, fleet, wallClock(), limits.handover)
            ? "successor is starting"
            : undefined);
        if (reason !== undefined) hold(one, reason);
        else {
          goes.push(one.key);
          released.add(one.live.metadata.uid);
        }
      });
      // Without an answer nothing is confirmed and nothing is forgotten.
      for (const { key, live } of candidates) {
        const last = before.get(formatKey(key));
        if (last === undefined || !silent.has(formatKey(key))) continue;
        after.set(formatKey(key), last);
        stays.push({ key, inferenceService: live.metadata.name, reason: last.reason });
      }
      held = after;
      return { released: goes, held: stays };
    },
  };
}

async function findSetBack(
  confirmed: readonly Confirmed[],
  { wanted }: Fleet,
  hasRun: (candidate: Candidate) => Promise<boolean>,
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

/** Whether another version of the candidate's model, or the same one under the model's new name, is starting. */
function isAwaiting(candidate: Confirmed, { wanted }: Fleet, time: number, handover: number): boolean {
  const successors = wanted.filter(
    ({ version }) => version.model === candidate.key.model || isRenamed(candidate, version),
  );
  return awaitedSuccessor(successors, time, handover) !== undefined;
}

/** Those that are not served under their model's new name; a version is the new name of one at the most. */
function withoutRenamed(confirmed: readonly Confirmed[], { wanted }: Fleet): Confirmed[] {
  const taken = new Set<ModelVersion>();
  return confirmed.filter(one => {
    const renamed = wanted.find(({ version }) => !taken.has(version) && isRenamed(one, version))?.version;
    if (renamed !== undefined) taken.add(renamed);
    return renamed === undefined;
  });
}

/** Whether a version is the candidate's under its model's new name: a rename leaves version, creation and run alone. */
function isRenamed({ key, live, known, answer }: Confirmed, version: ModelVersion): boolean {
  return (
    answer === undefined &&
    version.version === key.version &&
    version.createdAt !== 0 &&
    version.createdAt === known?.versionCreatedAt &&
    version.runId === (runIdOf(live.metadata) ?? "")
  );
}
