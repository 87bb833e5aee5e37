import { compareHold } from "../kserve/disputed-fields";
import type { KnownHold } from "../kserve/disputed-fields";
import { keyOf } from "../kserve/identity";
import { parseLive } from "../kserve/live-inference-service";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import { causeOf, conditionOf, hasFailedToLoad, isStarting } from "../kserve/service-state";
import { troubleOf } from "../kserve/troubles";
import type { Trouble } from "../kserve/troubles";
import type { EventRecorder } from "../kubernetes/events";
import { formatKey } from "../support/model-version-key";
import type { ModelVersionKey } from "../support/model-version-key";
import { BoundedCache } from "../support/bounded-cache";
import type { Log } from "../observability/logging";
import { messageOf } from "../observability/logging";
import type { Outcome } from "./reconciler";

/** Remembered services, to tell what is new about an event. */
const CAPACITY = 50_000;

/** Remembered deletions, for events that come after they were told: those are seconds late, not hours. */
const DELETIONS = 1_000;

/**
 * Follows what happens to our InferenceServices in the cluster. It takes an event and returns at once: whoever tells it of
 * the next one must not wait for MLflow. An event that is older than one about the same object changes nothing.
 */
export interface Observer {
  /** One was made or changed, by anybody, its status included. */
  changed: (object: unknown) => void;
  deleted: (object: unknown) => void;
}

export interface ObserverOptions {
  /** Lets the work begin; the same promise for all that one round of it answers. */
  readonly reconcile: (key: ModelVersionKey) => Promise<Outcome>;
  readonly log: Log;
  /** Told of each event that is not older than what is known. */
  readonly onSeen?: (key: ModelVersionKey, live: LiveInferenceService) => void;
  readonly onGone?: (key: ModelVersionKey, uid: string) => void;
  readonly onFirstReady?: (secondsSinceCreation: number) => void;
  /** Whether others are known to change this one again and again, so that it need not be logged each time. */
  readonly isDisputed?: (key: ModelVersionKey) => boolean;
  /** Takes what somebody has to act on, for `kubectl describe`. */
  readonly record?: EventRecorder;
}

/** What is known of one service, by its uid. */
interface Seen {
  readonly key: ModelVersionKey;
  /** The newest resourceVersion. */
  readonly version: string;
  readonly hold: KnownHold;
  told?: "Ready" | "not Ready" | "failed" | Trouble["reason"];
  /** Seen before KServe has: what was ready when this process started says nothing about how long it took. */
  isFresh: boolean;
}

/**
 * Logs when a service becomes ready or stops being so, tells how long a new one took, and reconciles when somebody else
 * changed or deleted one: within moments, where the poll would need up to its interval.
 */
export function createObserver({
  reconcile,
  log,
  onSeen = () => undefined,
  onGone = () => undefined,
  onFirstReady = () => undefined,
  isDisputed = () => false,
  record = () => undefined,
}: ObserverOptions): Observer {
  const services = new BoundedCache<Seen>(CAPACITY);
  /** The resourceVersions of deletions, by uid. */
  const deletions = new BoundedCache<string>(DELETIONS);
  const followed = new WeakSet<Promise<Outcome>>();

  const follow = async (answer: Promise<Outcome>, key: ModelVersionKey, what: string): Promise<void> => {
    const about = { model: key.model, version: key.version };
    try {
      const { action, inferenceService } = await answer;
      const fields = { ...about, inference_service: inferenceService, action };
      const level = action === "unchanged" || isDisputed(key) ? "debug" : "info";
      log[level](fields, `InferenceService ${what}, reconciled`);
    } catch (error) {
      // What came of a reconcile is told where all of them are told of, once.
      log.debug({ ...about, cause: messageOf(error) }, `InferenceService ${what}, reconcile failed`);
    }
  };

  const correct = (key: ModelVersionKey, what: string): void => {
    const answer = reconcile(key);
    if (followed.has(answer)) return;
    followed.add(answer);
    void follow(answer, key, what);
  };

  const tellReadiness = (live: LiveInferenceService, seen: Seen): void => {
    const { name, creationTimestamp, uid } = live.metadata;
    const condition = conditionOf(live, "Ready");
    if (condition === undefined) {
      if (seen.told === undefined) seen.isFresh = true;
      return;
    }
    const ready = condition.status === "True";
    // A failed load is told once for each time that the service was Ready or on its way: its text has the time in it. So are
    // other troubles, and "not Ready" alone is no news after any.
    const failed = hasFailedToLoad(live);
    const state = ready ? "Ready" : failed ? "failed" : (troubleOf(live)?.reason ?? "not Ready");
    if (state === "not Ready" && isStarting(live)) return;
    if (seen.told === state || (state === "not Ready" && seen.told !== undefined && seen.told !== "Ready")) return;
    seen.told = state;
    const about = { model: seen.key.model, version: seen.key.version, inference_service: name };
    if (ready) {
      const sinceCreation = (Date.now() - Date.parse(creationTimestamp)) / 1000;
      log.info({ ...about, url: live.status.url, seconds_since_creation: sinceCreation }, "InferenceService is Ready");
      if (seen.isFresh) onFirstReady(sinceCreation);
      seen.isFresh = false;
      return;
    }
    const why = { ...about, reason: condition.reason, cause: causeOf(live) };
    if (state === "not Ready") log.info(why, "InferenceService is not Ready");
    else {
      log.error(why, failed ? "The model could not be loaded" : "InferenceService cannot become Ready");
      const message = `${formatKey(seen.key)} does not serve: ${why.cause ?? "its model could not be loaded"}`;
      const reason = state === "failed" ? "ModelFailed" : state;
      record({ type: "Warning", reason, message, name, uid, isNew: true });
    }
  };

  return {
    changed(object) {
      const live = parseLive(object);
      if (live === undefined) return;
      const { uid, resourceVersion, deletionTimestamp } = live.metadata;
      const [before, deletion] = [services.get(uid), deletions.get(uid)];
      if (deletion !== undefined && !isNewer(resourceVersion, deletion)) return;
      if (before !== undefined && isNewer(before.version, resourceVersion)) return;
      // Without its identity it is still the one that we knew, and whoever took it away is to be corrected.
      const key = keyOf(live.metadata) ?? before?.key;
      if (key === undefined) return;
      const { isTaken, known: hold } = compareHold(before?.hold, live);
      const seen = { isFresh: false, ...before, key, version: resourceVersion, hold };
      services.set(uid, seen);
      onSeen(key, live);
      if (deletionTimestamp === undefined) tellReadiness(live, seen);
      if (isTaken) correct(key, "changed by others");
    },
    deleted(object) {
      const live = parseLive(object);
      if (live === undefined) return;
      const { uid, resourceVersion } = live.metadata;
      const [before, deletion] = [services.get(uid), deletions.get(uid)];
      if (deletion !== undefined && !isNewer(resourceVersion, deletion)) return;
      // Of the same version as the last change where the watch finds it gone, and has only what it knew.
      if (before !== undefined && isNewer(before.version, resourceVersion)) return;
      const key = keyOf(live.metadata) ?? before?.key;
      if (key === undefined) return;
      services.delete(uid);
      deletions.set(uid, resourceVersion);
      onGone(key, uid);
      correct(key, "deleted");
    },
  };
}

/**
 * Whether one resourceVersion is newer than another: Kubernetes counts them upwards, and the longer number is the greater.
 * Of what is no number, nothing is known, and it is not.
 */
function isNewer(one: string, other: string): boolean {
  if (![one, other].every(version => /^[1-9]\d*$/.test(version))) return false;
  return one.length === other.length ? one > other : one.length > other.length;
}
