import { MlflowError } from "../mlflow/errors";
import type { VersionTags } from "../mlflow/version-tags";
import type { ModelVersion } from "../mlflow/client";
import { messageOf } from "../observability/logging";
import type { Log } from "../observability/logging";
import type { StatusTagWrite, UnwrittenStatusTags } from "../observability/metrics";
import { BoundedCache } from "../support/bounded-cache";
import { formatKey } from "../support/model-version-key";
import type { ModelVersionKey } from "../support/model-version-key";
import type { VersionState } from "./published";
import { describeUnwritten, PROBLEM_IS_OVER } from "./status-tag-messages";
import type { TagProblem } from "./status-tag-messages";
import { planStatusTags } from "./status-tags";
import type { StatusTagKeys, TagChange } from "./status-tags";
import type { KnownVersion, VersionStates } from "./version-states";

/** Milliseconds between two writings for one version: a state that flaps is not worth more of MLflow's time. */
const PAUSE = 3_000;

/** Milliseconds after which it is tried again whether a right that MLflow denied has been given meanwhile. */
const DENIED_FOR = 600_000;

/** Milliseconds for which an answer of MLflow's may be older than what was written: it may read from a replica. */
const LAG = 10_000;

/** Times that somebody else may change a version's tags back until they are left to them. */
const CONTESTS = 3;

/** Calls that fail one after the other until the rest is left to the next poll. */
const FAILURES = 3;

/** Remembered writings, for the pauses and contests. */
const CAPACITY = 50_000;

export interface StatusTagWriterOptions {
  readonly states: Pick<VersionStates, "get" | "all" | "now" | "read" | "tagWritten" | "tagUncertain">;
  readonly tags: VersionTags;
  readonly readVersion: (key: ModelVersionKey) => Promise<ModelVersion | undefined>;
  readonly keys: StatusTagKeys;
  /** false: what the module has written is taken away. */
  readonly isEnabled: boolean;
  readonly log: Log;
  readonly onWrite: (result: StatusTagWrite) => void;
  readonly onUnwritten: (counts: UnwrittenStatusTags) => void;
  /** Resolves when the next version's turn has come; at once when left out. */
  readonly turn?: () => Promise<void>;
  /** Milliseconds on a clock that only goes forward. */
  readonly now?: () => number;
}

/**
 * Writes to MLflow, as tags of the versions, how they are served. It goes by what the tags are and what they should be: what
 * was not written, or was changed by others, is found by the next poll. One call at a time, so that people's own calls and
 * the deliveries that each written tag makes of MLflow leave room for theirs.
 */
export interface StatusTagWriter {
  /** The state of a version is another one. */
  readonly changed: (key: ModelVersionKey) => void;
  /** A poll has come to its end: all versions are compared. */
  readonly polled: () => void;
  /** What keeps tags from being written, as the last poll found it. */
  readonly concerns: () => readonly string[];
  /** Resolves when nothing is being written; what is only paused is not waited for. */
  readonly idle: () => Promise<void>;
  /** Ends after the call under way. */
  readonly stop: () => Promise<void>;
}

/** What was last written for a version. */
interface Written {
  /** The state that was written in full; undefined as long as a part of it is missing. */
  readonly wanted: string | undefined;
  readonly at: number;
  readonly contests: number;
}

export function createStatusTagWriter(options: StatusTagWriterOptions): StatusTagWriter {
  const { states, tags, keys, isEnabled, log, onWrite, turn = () => Promise.resolve() } = options;
  const { now = () => performance.now() } = options;
  /** Versions to be looked at, each not before its pause is over, unless that does not matter. */
  const waiting = new Map<string, { readonly key: ModelVersionKey; readonly isUrgent: boolean }>();
  const written = new BoundedCache<Written>(CAPACITY);
  /** Models whose versions' tags MLflow did not let us set or delete, and from when on that is tried again. */
  const denied = { set: new Map<string, number>(), delete: new Map<string, number>() };
  /** Versions of which the last writing failed: the others come first. */
  const failed = new Set<string>();
  let working: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  let problems: readonly TagProblem[] = [];
  /** What MLflow answered when several writings failed one after the other. */
  let failing: string | undefined;

  const mayTry = (right: "set" | "delete", model: string): boolean => (denied[right].get(model) ?? 0) <= now();

  const wantedOf = ({ state }: KnownVersion): VersionState | undefined => (isEnabled ? state : undefined);

  const planFor = (version: KnownVersion & { readonly tags: ReadonlyMap<string, string> }) =>
    planStatusTags(
      {
        actual: version.tags,
        state: wantedOf(version),
        wroteBefore: written.get(formatKey(version.key)) !== undefined,
        mayDelete: mayTry("delete", version.key.model),
      },
      keys,
    );

  const enqueue = (key: ModelVersionKey): void => {
    const id = formatKey(key);
    if (isStopped || waiting.has(id)) return;
    waiting.set(id, { key, isUrgent: false });
    goOn();
  };

  const wrote = (key: ModelVersionKey, wanted: string | undefined): void => {
    const id = formatKey(key);
    written.set(id, { wanted, at: now(), contests: written.get(id)?.contests ?? 0 });
  };

  const write = async (key: ModelVersionKey, change: TagChange): Promise<void> => {
    const right = change.value === undefined ? "delete" : "set";
    try {
      if (change.value === undefined) await tags.delete(key, change.key);
      else await tags.set(key, change.key, change.value);
    } catch (error) {
      onWrite(isDenial(error) ? "denied" : "error");
      if (isDenial(error)) denied[right].set(key.model, now() + DENIED_FOR);
      else states.tagUncertain(key);
      throw error;
    }
    denied[right].delete(key.model);
    wrote(key, undefined);
    onWrite("success");
    states.tagWritten(key, change);
  };

  /** @throws MlflowError */
  const readTags = async (key: ModelVersionKey): Promise<void> => {
    const asked = states.now();
    try {
      states.read(key, await options.readVersion(key), asked);
    } catch (error) {
      // What may not be read may not be written either.
      if (isDenial(error)) denied.set.set(key.model, now() + DENIED_FOR);
      throw error;
    }
  };

  /** Makes one version's tags what they should be. @throws MlflowError */
  const bringUpToDate = async (key: ModelVersionKey): Promise<void> => {
    let version = states.get(key);
    if (version === undefined) return;
    if (version.tags === undefined) {
      await readTags(key);
      version = states.get(key);
      if (version?.tags === undefined) return;
    }
    const plan = planFor({ ...version, tags: version.tags });
    if (plan.kind === "foreign" || plan.changes.length === 0) return;
    const wanted = signatureOf(wantedOf(version));
    for (const change of plan.changes) {
      if (isStopped) return;
      await write(key, change);
    }
    wrote(key, wanted);
  };

  const dueAt = (id: string, isUrgent: boolean): number => {
    const before = written.get(id);
    return isUrgent || before === undefined ? -Infinity : before.at + PAUSE;
  };

  const nextDue = (): ModelVersionKey | undefined => {
    for (const [id, { key, isUrgent }] of waiting) {
      if (dueAt(id, isUrgent) > now()) continue;
      waiting.delete(id);
      return key;
    }
    return undefined;
  };

  const work = async (): Promise<void> => {
    let failures = 0;
    for (let key = nextDue(); key !== undefined && !isStopped; key = nextDue()) {
      // Denied since it was to be looked at.
      if (!mayTry("set", key.model)) continue;
      try {
        await turn();
        await bringUpToDate(key);
        [failures, failing] = [0, undefined];
        failed.delete(formatKey(key));
      } catch (error) {
        if (!(error instanceof MlflowError)) throw error;
        // Deleted meanwhile, or the address led to another MLflow for a moment: the next poll has it read.
        if (error.code === "RESOURCE_DOES_NOT_EXIST") continue;
        // Overwritten instead, at once.
        if (isDenial(error) && mayTry("set", key.model)) waiting.set(formatKey(key), { key, isUrgent: true });
        else {
          failed.add(formatKey(key));
          log.debug({ ...key, cause: messageOf(error) }, "Status tags could not be written, the next poll tries again");
          if (isDenial(error) || ++failures < FAILURES) continue;
          failing = messageOf(error);
          waiting.clear();
        }
      }
    }
  };

  const goOn = (): void => {
    clearTimeout(timer);
    if (working !== undefined || isStopped || waiting.size === 0) return;
    let earliest = Infinity;
    for (const [id, { isUrgent }] of waiting) earliest = Math.min(earliest, dueAt(id, isUrgent));
    if (earliest > now()) {
      timer = setTimeout(goOn, earliest - now() + 1);
      timer.unref();
      return;
    }
    working = work()
      .catch((error: unknown) => {
        log.error({ cause: messageOf(error) }, "Status tags could not be written");
      })
      .finally(() => {
        working = undefined;
        goOn();
      });
  };

  /** @returns whether others change this version's tags back again and again */
  const isContested = (id: string, wanted: string): boolean => {
    const before = written.get(id);
    if (before?.wanted !== wanted || now() - before.at < LAG) return false;
    const contests = Math.min(before.contests + 1, CONTESTS);
    written.set(id, { ...before, contests });
    return contests >= CONTESTS;
  };

  /** How many models or versions it is about is no news: that changes while they are gone through. */
  const tell = (found: readonly TagProblem[]): void => {
    const isIn = (list: readonly TagProblem[], kind: TagProblem["kind"]): boolean =>
      list.some(one => one.kind === kind);
    for (const { kind, message } of found) if (!isIn(problems, kind)) log.warn({}, message);
    for (const { kind } of problems) if (!isIn(found, kind)) log.info({}, PROBLEM_IS_OVER[kind]);
    problems = found;
  };

  return {
    changed(key) {
      if (isEnabled && mayTry("set", key.model)) enqueue(key);
    },

    polled() {
      const [foreign, contested]: [string[], string[]] = [[], []];
      const outdated: ModelVersionKey[] = [];
      const models = new Set<string>();
      for (const version of states.all()) {
        const { key } = version;
        const id = formatKey(key);
        models.add(key.model);
        if (version.tags === undefined) {
          if ((wantedOf(version) !== undefined || version.isUncertain) && mayTry("set", key.model)) outdated.push(key);
          continue;
        }
        const plan = planFor({ ...version, tags: version.tags });
        if (plan.kind === "foreign") {
          if (wantedOf(version) !== undefined) foreign.push(id);
        } else if (plan.changes.length === 0) {
          const before = written.get(id);
          if (before !== undefined && before.contests > 0) written.set(id, { ...before, contests: 0 });
        } else if (mayTry("set", key.model)) {
          if (isContested(id, signatureOf(wantedOf(version)))) contested.push(id);
          else outdated.push(key);
        }
      }
      const hasFailed = (key: ModelVersionKey): boolean => failed.has(formatKey(key));
      // Of what need not be written any more, or is gone, nothing is remembered.
      const remaining = new Set(outdated.filter(hasFailed).map(formatKey));
      for (const id of failed) if (!remaining.has(id)) failed.delete(id);
      for (const key of outdated) if (!hasFailed(key)) enqueue(key);
      for (const key of outdated) if (hasFailed(key)) enqueue(key);
      for (const right of [denied.set, denied.delete])
        for (const model of right.keys()) if (!models.has(model)) right.delete(model);
      const found = {
        ...{ denied: [...denied.set.keys()], overwritten: [...denied.delete.keys()], foreign, contested },
        failing: failing === undefined ? [] : [failing],
      };
      options.onUnwritten({ denied: denied.set.size, foreign: foreign.length, contested: contested.length });
      tell(describeUnwritten(found, keys));
    },

    concerns: () => problems.map(({ message }) => message),

    async idle() {
      await new Promise(resolve => setImmediate(resolve));
      while (working !== undefined) await working;
    },

    async stop() {
      isStopped = true;
      clearTimeout(timer);
      await working;
    },
  };
}

/** MLflow's basic auth, and most of what may stand before it, say so that our user has not the right. */
function isDenial(error: unknown): error is MlflowError {
  return error instanceof MlflowError && error.facts.status === 403;
}

function signatureOf(state: VersionState | undefined): string {
  return JSON.stringify([state?.word, state?.url, state?.cause]);
}
