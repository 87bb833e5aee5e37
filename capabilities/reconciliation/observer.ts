import { keyOf } from "../kserve/identity";
import { FIELD_MANAGER } from "../kserve/inference-services";
import { describesService, parseLive } from "../kserve/live-inference-service";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import { causeOf, conditionOf, hasFailedToLoad, isStarting } from "../kserve/service-state";
import type { ModelVersionKey } from "../support/model-version-key";
import { BoundedCache } from "../support/bounded-cache";
import type { Log } from "../observability/logging";
import { messageOf } from "../observability/logging";
import type { Outcome } from "./reconciler";

/** Remembered services, to tell what is new about an event. */
const CAPACITY = 50_000;

/** Follows what happens to our InferenceServices in the cluster. */
export interface Observer {
  /** One was made or changed, by anybody, its status included. */
  changed: (object: unknown) => Promise<void>;
  deleted: (object: unknown) => Promise<void>;
}

/**
 * Logs when a service becomes ready or stops being so, tells how long a new one took, and reconciles when somebody else
 * changed or deleted one: within moments, where the poll would need up to its interval.
 */
export function createObserver(
  reconcile: (key: ModelVersionKey) => Promise<Outcome>,
  log: Log,
  onFirstReady: (secondsSinceCreation: number) => void = () => undefined,
): Observer {
  const lastTold = new BoundedCache<"Ready" | "not Ready" | "failed">(CAPACITY);
  const fresh = new BoundedCache<boolean>(CAPACITY);
  const examined = new BoundedCache<number>(CAPACITY);

  const correct = async (key: ModelVersionKey, what: string): Promise<void> => {
    const about = { model: key.model, version: key.version };
    try {
      const { action, inferenceService } = await reconcile(key);
      log.info({ ...about, inference_service: inferenceService, action }, `InferenceService ${what}, reconciled`);
    } catch (error) {
      log.error(
        { ...about, cause: messageOf(error) },
        `InferenceService ${what}, reconcile failed; the next poll tries again`,
      );
    }
  };

  const tellReadiness = (live: LiveInferenceService, key: ModelVersionKey): void => {
    const { name, uid, creationTimestamp } = live.metadata;
    const condition = conditionOf(live, "Ready");
    if (condition === undefined) {
      // Seen before KServe has: what was ready when this process started says nothing about how long it took.
      if (lastTold.get(uid) === undefined) fresh.set(uid, true);
      return;
    }
    const ready = condition.status === "True";
    // A failed load is told once for each time that the service was Ready or on its way: its text has the time in it.
    const failed = hasFailedToLoad(live);
    const state = ready ? "Ready" : failed ? "failed" : "not Ready";
    if (state === "not Ready" && isStarting(live)) return;
    const before = lastTold.get(uid);
    if (before === state || (before === "failed" && state === "not Ready")) return;
    lastTold.set(uid, state);
    const about = { model: key.model, version: key.version, inference_service: name };
    if (ready) {
      const sinceCreation = (Date.now() - Date.parse(creationTimestamp)) / 1000;
      log.info({ ...about, url: live.status.url, seconds_since_creation: sinceCreation }, "InferenceService is Ready");
      if (fresh.get(uid)) onFirstReady(sinceCreation);
      fresh.delete(uid);
      return;
    }
    const why = { ...about, reason: condition.reason, cause: causeOf(live) };
    if (failed) log.error(why, "The model could not be loaded");
    else log.info(why, "InferenceService is not Ready");
  };

  return {
    async changed(object) {
      const live = parseLive(object);
      const key = live && keyOf(live.metadata);
      if (live === undefined || key === undefined) return;
      if (live.metadata.deletionTimestamp === undefined) tellReadiness(live, key);
      const { uid, generation } = live.metadata;
      if (examined.get(uid) === generation) return;
      examined.set(uid, generation);
      if (changedLastByOthers(live)) await correct(key, "changed by others");
    },
    async deleted(object) {
      const live = parseLive(object);
      const key = live && keyOf(live.metadata);
      if (live === undefined || key === undefined) return;
      lastTold.delete(live.metadata.uid);
      fresh.delete(live.metadata.uid);
      examined.delete(live.metadata.uid);
      await correct(key, "deleted");
    },
  };
}

/**
 * Whether the newest change of the spec, labels or annotations, as `managedFields` tells it, may be somebody else's. Its
 * times have seconds: of two changes within one, either may have been the last, and a reconcile for nothing costs two
 * reads, where a change overlooked would stand until the next poll.
 */
export function changedLastByOthers(live: LiveInferenceService): boolean {
  const newest = live.metadata.managedFields
    .filter(describesService)
    .sort((one, other) => one.time.localeCompare(other.time) || Number(isOurs(other)) - Number(isOurs(one)))
    .at(-1);
  return newest !== undefined && !isOurs(newest);
}

function isOurs({ manager }: { manager: string }): boolean {
  return manager === FIELD_MANAGER;
}
