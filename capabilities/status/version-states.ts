import type { ServiceFacts } from "../kserve/service-facts";
import type { ModelVersion } from "../mlflow/client";
import type { Failure } from "../reconciliation/failures";
import { explainHold } from "../reconciliation/hold-reason";
import type { HeldRemoval, UndecidedRemoval } from "../reconciliation/hold-reason";
import type { Outcome } from "../reconciliation/reconciler";
import { formatKey } from "../support/model-version-key";
import type { ModelVersionKey } from "../support/model-version-key";
import type { VersionState } from "./published";
import { areOwn } from "./status-tags";
import type { StatusTagKeys, TagChange } from "./status-tags";
import { isSameState, learnTags, learnWish, newEntry, placeService } from "./version-entry";
import type { VersionEntry } from "./version-entry";
import { versionState } from "./version-state";
import type { VersionFacts, Wish } from "./version-state";

/** A service that a poll found. */
export interface FoundService {
  readonly key: ModelVersionKey;
  readonly facts: ServiceFacts;
}

/** What one poll found, by {@link formatKey} where it is a map. */
export interface PolledVersions {
  readonly tagged: readonly ModelVersion[];
  readonly services: ReadonlyMap<string, FoundService>;
  readonly held: readonly HeldRemoval[];
  readonly undecided: readonly UndecidedRemoval[];
}

/** A version as it is known now. */
export interface KnownVersion {
  readonly key: ModelVersionKey;
  readonly state: VersionState | undefined;
  readonly service: ServiceFacts | undefined;
  /** Its status tags in MLflow; undefined as long as they have not been read. */
  readonly tags: ReadonlyMap<string, string> | undefined;
  /** It may have tags that nobody has read, as after a write that got no answer: they have to be, whatever its state. */
  readonly isUncertain: boolean;
}

/** A version whose state is another one. */
export interface VersionChange {
  readonly key: ModelVersionKey;
  readonly before: VersionState | undefined;
  readonly after: VersionState | undefined;
}

/**
 * The states of all versions, as the process that polls knows them: each poll brings all of them, and what is heard in between
 * changes single ones. Nothing is told before the first poll has come to its end, since until then nothing is complete.
 */
export interface VersionStates {
  /** A poll begins; what is heard from now on is newer than what it will find. @returns what {@link polled} wants */
  readonly begin: () => number;
  readonly polled: (begun: number, found: PolledVersions) => void;
  /** Versions with status tags that a search has found that began at `begun`. Without tags, it left them out. */
  readonly found: (begun: number, versions: readonly ModelVersion[]) => void;
  /** The present moment, for what is asked from now on. */
  readonly now: () => number;
  /** MLflow was asked about this very version; undefined when it says that there is none. @param asked when, by {@link now} */
  readonly read: (key: ModelVersionKey, version: ModelVersion | undefined, asked: number) => void;
  /** The watch saw a service. */
  readonly serviceSeen: (key: ModelVersionKey, facts: ServiceFacts) => void;
  /** The watch saw that a service is gone. What that means, the reconcile that follows tells. */
  readonly serviceGone: (key: ModelVersionKey, uid: string) => void;
  /** @param asked when the reconcile began, by {@link now} */
  readonly reconciled: (key: ModelVersionKey, outcome: Outcome, asked: number) => void;
  readonly failed: (key: ModelVersionKey) => void;
  /** A status tag was written to MLflow. */
  readonly tagWritten: (key: ModelVersionKey, change: TagChange) => void;
  /** One was to be written, and whether MLflow did it is not known. */
  readonly tagUncertain: (key: ModelVersionKey) => void;
  readonly get: (key: ModelVersionKey) => KnownVersion | undefined;
  /** What is known of a version beside its service; undefined when nothing is, or this process does not poll. */
  readonly factsAbout: (key: ModelVersionKey) => Omit<VersionFacts, "service"> | undefined;
  readonly all: () => Iterable<KnownVersion>;
}

export interface VersionStatesOptions {
  readonly deployTagKey: string;
  readonly tagKeys: StatusTagKeys;
  /** Where a service that serves answers. */
  readonly urlOf: (service: ServiceFacts, key: ModelVersionKey) => string | undefined;
  /** Why the last reconcile of a version failed, when it did. */
  readonly failureOf: (key: ModelVersionKey) => Failure | undefined;
  readonly onChange: (change: VersionChange) => void;
}

/** What a hold's reason is told after. */
const STAYS = "its service is to go, and stays for now";

const NOT_TAGGED: Wish = {
  kind: "remove",
  reason: "the model version has no deploy tag in MLflow, and its model wants it by no alias",
};

export function createVersionStates(options: VersionStatesOptions): VersionStates {
  const { deployTagKey, tagKeys, urlOf, failureOf, onChange } = options;
  const entries = new Map<string, VersionEntry>();
  /** Counts what is heard, so that it is known what came after what. */
  let moment = 0;
  let isActive = false;
  let isComplete = false;
  /** What the first poll finds has been so for nobody knows how long. */
  let isFirst = true;

  const entryOf = (key: ModelVersionKey): VersionEntry => {
    const id = formatKey(key);
    const known = entries.get(id) ?? newEntry(key);
    entries.set(id, known);
    return known;
  };

  const failureOver = ({ key, overcome }: VersionEntry): Failure | undefined => {
    const failure = failureOf(key);
    return failure === overcome ? undefined : failure;
  };

  const evaluate = (entry: VersionEntry): void => {
    if (!isComplete || entry.isUnsettled) return;
    const { key, wish, service, hold, state: before } = entry;
    const facts = { wish, service, hold, failure: failureOver(entry) };
    const found = versionState(facts, one => urlOf(one, key));
    const since = before?.word === found?.word ? before?.since : isFirst ? undefined : Date.now();
    const after = found && { ...found, since: found.since ?? since };
    if (before !== undefined && after !== undefined && isSameState(before, after)) return;
    entry.state = after;
    if (before !== undefined || after !== undefined) onChange({ key, before, after });
  };

  const learn = (entry: VersionEntry, version: ModelVersion | undefined, from: number): void => {
    learnWish(entry, version, from, deployTagKey);
    learnTags(entry, version, from, tagKeys);
  };

  const heard = (key: ModelVersionKey, change: (entry: VersionEntry, now: number) => void): void => {
    if (!isActive) return;
    const entry = entryOf(key);
    change(entry, ++moment);
    evaluate(entry);
  };

  return {
    begin() {
      isActive = true;
      return ++moment;
    },

    now: () => ++moment,

    polled(begun, { tagged, services, held, undecided }) {
      isComplete = true;
      const found = new Set<string>();
      for (const version of tagged) {
        found.add(formatKey(version));
        // Of a registry whose searches leave the tags out; the one that it was searched for by is there.
        if (version.tags.size > 0 || version.modelWish !== undefined) learn(entryOf(version), version, begun);
        else learnWish(entryOf(version), { ...version, tags: new Map([[deployTagKey, "true"]]) }, begun, deployTagKey);
      }
      for (const [, { key }] of services) entryOf(key);
      const holds = new Map(held.map(({ key, reason }) => [formatKey(key), `${STAYS}: ${explainHold(reason)}`]));
      for (const { key, cause, answer } of undecided) {
        if (answer === undefined) {
          holds.set(formatKey(key), cause);
          continue;
        }
        found.add(formatKey(key));
        learnWish(entryOf(key), answer, begun, deployTagKey);
      }
      for (const [id, entry] of entries) {
        // Of a service that came meanwhile, the next poll tells.
        const isNewer = entry.wish === undefined && entry.serviceFrom > begun;
        if (!found.has(id) && entry.wishFrom < begun && !isNewer) entry.wish = NOT_TAGGED;
        placeService(entry, services.get(id)?.facts, begun);
        // Wanted again since, nothing holds it.
        const isWanted = entry.wish?.kind === "serve" && entry.wishFrom > begun;
        entry.hold = isWanted ? undefined : holds.get(id);
        entry.isUnsettled = false;
        evaluate(entry);
        // What stands there of others is theirs.
        const isForgotten = entry.tags === undefined || !areOwn(entry.tags, tagKeys);
        if (entry.state === undefined && !entry.isUncertain && isForgotten) entries.delete(id);
      }
      isFirst = false;
    },

    found(begun, versions) {
      for (const version of versions) {
        if (version.tags.size === 0) {
          const known = entries.get(formatKey(version));
          if (known !== undefined) known.isUncertain ||= known.tags === undefined;
          continue;
        }
        // It does not tell whether the version is to be served: an alias may want it.
        const entry = entryOf(version);
        learnTags(entry, version, begun, tagKeys);
        evaluate(entry);
      }
    },

    read: (key, version, asked) => {
      heard(key, entry => {
        learn(entry, version, asked);
      });
    },

    serviceSeen: (key, facts) => {
      heard(key, (entry, now) => {
        if (facts.uid !== entry.service?.uid && facts.state !== "Stopping") {
          // Somebody has made it, and so has read another wish than the one that is known here.
          Object.assign(entry, { wish: undefined, hold: undefined, overcome: failureOf(key), isUnsettled: false });
        }
        placeService(entry, facts, now);
      });
    },

    serviceGone: (key, uid) => {
      heard(key, (entry, now) => {
        entry.goneUid = uid;
        // Another one may have been made since.
        if (entry.service !== undefined && entry.service.uid !== uid) return;
        placeService(entry, undefined, now);
        entry.isUnsettled = true;
      });
    },

    reconciled: (key, outcome, asked) => {
      const { action, version, reason = "" } = outcome;
      heard(key, (entry, now) => {
        learn(entry, version, asked);
        const { service, goneUid } = entry;
        // The answer to a Delete may come after the word of the watch that the service is gone.
        if (action === "deleted" && outcome.uid !== goneUid) placeService(entry, leaving(outcome), now);
        // Another one than the one that is known was in nobody's way any more.
        if (action === "created" && service?.uid !== outcome.uid) placeService(entry, undefined, now);
        // That the poll decides is no news where a poll has said why.
        const isLeft = reason === explainHold("left to the poll") && entry.hold !== undefined;
        if (!isLeft) entry.hold = action === "held" ? `${STAYS}: ${reason}` : undefined;
        else if (action !== "held") entry.hold = undefined;
        entry.isUnsettled = false;
      });
    },

    failed: key => {
      heard(key, entry => {
        entry.overcome = undefined;
        entry.isUnsettled = false;
      });
    },

    tagWritten: (key, { key: tagKey, value }) => {
      heard(key, (entry, now) => {
        const tags = new Map(entry.tags);
        if (value === undefined) tags.delete(tagKey);
        else tags.set(tagKey, value);
        entry.tags = tags;
        entry.tagsFrom = now;
      });
    },

    tagUncertain: key => {
      heard(key, (entry, now) => {
        entry.tags = undefined;
        entry.tagsFrom = now;
        entry.isUncertain = true;
      });
    },

    get: key => entries.get(formatKey(key)),
    factsAbout(key) {
      const entry = isComplete ? entries.get(formatKey(key)) : undefined;
      return entry && { wish: entry.wish, hold: entry.hold, failure: failureOver(entry) };
    },
    all: () => entries.values(),
  };
}

/** A service of which the API server has taken the Delete: its owners' finalizers may keep it for a while. */
function leaving({ inferenceService: name, uid = "", reason: cause }: Outcome): ServiceFacts {
  return { name, uid, state: "Stopping", since: Date.now(), cause, management: "managed", urls: undefined };
}
