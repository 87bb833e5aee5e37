import { createIngressConfigurationReader } from "../kserve/ingress-configuration";
import { keyOf } from "../kserve/identity";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import { possibleServiceName } from "../kserve/names";
import { factsOf } from "../kserve/service-facts";
import type { ServiceFacts } from "../kserve/service-facts";
import type { ApiServer } from "../kubernetes/api-server";
import type { MlflowReader } from "../mlflow/client";
import type { VersionTags } from "../mlflow/version-tags";
import type { Log } from "../observability/logging";
import type { Metrics } from "../observability/metrics";
import type { Wake } from "../reconciliation/cause";
import type { Failure } from "../reconciliation/failures";
import type { Outcome } from "../reconciliation/reconciler";
import type { OnFound, Resynced } from "../reconciliation/resync";
import type { ModelVersionKey } from "../support/model-version-key";
import { BoundedCache } from "../support/bounded-cache";
import { formatKey } from "../support/model-version-key";
import { describeHeld, describeRollout } from "./fleet-messages";
import { createLeftBehindSearch } from "./left-behind";
import type { ModuleFacts } from "./module-view";
import type { StateChange, VersionState } from "./published";
import { createPublishedVersions } from "./published-versions";
import type { PublishedVersions } from "./published-versions";
import { servingUrl } from "./serving-url";
import { statusTagKeys } from "./status-tags";
import { createStatusTagWriter } from "./status-tag-writer";
import { createVersionStates } from "./version-states";
import type { FoundService, KnownVersion, VersionChange } from "./version-states";
import { versionState } from "./version-state";
import { createWritePacing } from "./write-pacing";

/** Polls from one search for tags that were left behind to the next: a process may have ended before it took them away. */
const SEARCH_EVERY = 10;

/** Changes that are kept for the page. */
const HISTORY = 2_000;

export interface PublishingOptions {
  readonly apiServer: ApiServer;
  readonly mlflow: Pick<MlflowReader, "getModelVersion" | "searchWithTag">;
  readonly tags: VersionTags;
  readonly namespace: string;
  /** Milliseconds that a service may take to become Ready. */
  readonly startLimit: number;
  readonly deployTagKey: string;
  /** The settings of these names. */
  readonly statusTags: boolean;
  readonly statusTagPrefix: string;
  readonly servingUrl: string;
  readonly kserveNamespace: string;
  /** Why the last reconcile of a version failed, when it did. */
  readonly failureOf: (key: ModelVersionKey) => Failure | undefined;
  readonly metrics: Pick<Metrics, "statusTagWritten" | "unwrittenStatusTags">;
  readonly log: Log;
}

/**
 * Says how each version is: in the log, as tags in MLflow, for `/services` and the page. Only the process that polls knows all
 * of it; in others it says what a service itself tells.
 */
export interface Publishing {
  /** Reads what the addresses depend on. Never rejects. */
  readonly start: () => Promise<void>;
  /** Follows one poll. @throws what the poll throws */
  readonly during: (resync: (onFound: OnFound) => Promise<Resynced>) => Promise<Resynced>;
  /** The watch saw a service, or that it is gone. */
  readonly serviceSeen: (key: ModelVersionKey, live: LiveInferenceService) => void;
  readonly serviceGone: (key: ModelVersionKey, uid: string) => void;
  /** A reconcile begins. @returns what {@link reconciled} wants */
  readonly reconciling: () => number;
  readonly reconciled: (key: ModelVersionKey, outcome: Outcome, wake: Wake, begun: number) => void;
  readonly failed: (key: ModelVersionKey) => void;
  /** The state of the version that a service is of, as the service is now. */
  readonly stateOf: (live: LiveInferenceService) => VersionState;
  readonly versions: PublishedVersions;
  readonly known: (key: ModelVersionKey) => KnownVersion | undefined;
  /** When a delivery about a version came to this process last, in Unix milliseconds. */
  readonly deliveredAt: (key: ModelVersionKey) => number | undefined;
  /** What the last poll found that somebody may have to act on. */
  readonly concerns: () => Concerns;
  /** Whether a poll has come to its end: before, nobody knows what there is. */
  readonly isComplete: () => boolean;
  /** Changes of states since the start, the newest first. */
  readonly history: () => readonly StateChange[];
  readonly idle: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** What somebody may have to act on, each with the cure. */
export type Concerns = Pick<ModuleFacts, "held" | "rollout" | "statusTags">;

/** Versions whose last delivery is remembered. */
const DELIVERIES = 10_000;

export function createPublishing(options: PublishingOptions): Publishing {
  const { apiServer, mlflow, namespace, startLimit, deployTagKey, failureOf, metrics, log } = options;
  const tagKeys = statusTagKeys(options.statusTagPrefix);
  const history: StateChange[] = [];
  const addresses = createIngressConfigurationReader(apiServer, options.kserveNamespace, log);
  let polls = 0;
  let concerns: Omit<Concerns, "statusTags"> = { held: undefined, rollout: undefined };
  const deliveries = new BoundedCache<number>(DELIVERIES);

  const urlOf = (service: ServiceFacts, key: ModelVersionKey): string | undefined =>
    servingUrl(options.servingUrl, service, { key, namespace }, addresses.current());

  const tell = ({ key, before, after }: VersionChange): void => {
    writer.changed(key);
    versions.changed(key);
    // What the first poll finds was so before, and would be a line for each of thousands.
    if (before?.word === after?.word || polls === 0) return;
    const cause = after?.cause;
    history.unshift({ ...key, at: Date.now(), before: before?.word, after: after?.word, cause });
    history.length = Math.min(history.length, HISTORY);
    const about = { model: key.model, version: key.version, change: "state", before: before?.word, after: after?.word };
    const message = after === undefined ? "Model version is not served any more" : `Model version is ${after.word}`;
    log.info({ ...about, url: after?.url, cause }, message);
  };

  const states = createVersionStates({ deployTagKey, tagKeys, urlOf, failureOf, onChange: tell });
  const versions = createPublishedVersions({
    ...{ get: states.get, all: states.all, namespace },
    nameOf: key => possibleServiceName(key, namespace),
  });
  const pacing = createWritePacing();
  const writer = createStatusTagWriter({
    states,
    tags: options.tags,
    readVersion: key => mlflow.getModelVersion(key),
    keys: tagKeys,
    isEnabled: options.statusTags,
    log,
    onWrite: metrics.statusTagWritten,
    onUnwritten: metrics.unwrittenStatusTags,
    turn: pacing.turn,
  });

  const searchLeftBehind = createLeftBehindSearch({
    ...{ mlflow, deployTagKey, tagKeys, log },
    isKnown: key => states.get(key) !== undefined,
  });

  const start = async (): Promise<void> => {
    if (options.servingUrl === "auto") await addresses.start();
  };

  return {
    start,
    async during(resync) {
      const begun = states.begin();
      const services = new Map<string, FoundService>();
      const resynced = await resync((key, live) => {
        services.set(formatKey(key), { key, facts: factsOf(live, startLimit) });
      });
      await start();
      const { tagged, heldRemovals: held, undecidedRemovals: undecided } = resynced;
      states.polled(begun, { tagged, services, held, undecided });
      if (polls++ % SEARCH_EVERY === 0) states.found(begun, await searchLeftBehind());
      writer.polled();
      const { heldRemovals, report, rollout } = resynced;
      concerns = {
        held: describeHeld(heldRemovals, report.managed, namespace)?.message,
        rollout: describeRollout(rollout)?.message,
      };
      return resynced;
    },
    serviceSeen(key, live) {
      if (states.get(key)?.service?.uid !== live.metadata.uid) pacing.serviceChanged();
      states.serviceSeen(key, factsOf(live, startLimit));
    },
    serviceGone(key, uid) {
      pacing.serviceChanged();
      states.serviceGone(key, uid);
    },
    reconciling: states.now,
    reconciled(key, outcome, { cause }, begun) {
      if (cause === "delivery" || cause === "alias") deliveries.set(formatKey(key), Date.now());
      states.reconciled(key, outcome, begun);
    },
    failed: states.failed,
    stateOf(live) {
      const key = keyOf(live.metadata);
      const service = factsOf(live, startLimit);
      const known = key && states.factsAbout(key);
      const state = versionState({ wish: undefined, ...known, service }, found => key && urlOf(found, key));
      const told = key && states.get(key)?.state;
      const since = (told?.word === state?.word ? told?.since : undefined) ?? service.since;
      if (state !== undefined) return { ...state, since: state.since ?? since };
      return { word: service.state, since: service.since, cause: service.cause };
    },
    versions,
    known: states.get,
    deliveredAt: key => deliveries.get(formatKey(key)),
    concerns: () => ({ ...concerns, statusTags: options.statusTags ? writer.concerns() : undefined }),
    isComplete: () => polls > 0,
    history: () => history,
    idle: writer.idle,
    async stop() {
      addresses.stop();
      pacing.stop();
      await writer.stop();
    },
  };
}
