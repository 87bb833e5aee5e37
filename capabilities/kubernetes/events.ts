import { randomBytes } from "node:crypto";
import { setImmediate as afterAnswers } from "node:timers/promises";
import { BoundedCache } from "../support/bounded-cache";
import { withoutSecrets } from "../support/foreign-text";
import type { Log } from "../observability/logging";
import { messageOf } from "../observability/logging";
import type { ApiServer } from "./api-server";

/**
 * Milliseconds in which the same event about the same service is recorded once: polls repeat what deliveries say. A
 * warning is about a state, so it is repeated only when Kubernetes has forgotten it, which it does after an hour.
 */
const REPEAT_AFTER = { Normal: 600_000, Warning: 3_600_000 };
const CAPACITY = 10_000;

/** Events that wait to be sent; beyond that they are dropped: they tell what the log tells as well. */
const MAXIMUM_WAITING = 1_000;

/** Kubernetes' limit for the message of an Event. */
const MAXIMUM_MESSAGE_LENGTH = 1024;

/** What happened, to one InferenceService or to all of the namespace. */
export interface RecordedEvent {
  readonly type: "Normal" | "Warning";
  /** One word in camel case, as `kubectl describe` shows it: Deployed, Removed, Refused, … */
  readonly reason: string;
  readonly message: string;
  /** The InferenceService that it is about, whether it exists or not; the namespace's services as a whole when left out. */
  readonly name?: string | undefined;
  /** Its uid when it exists, so that `kubectl describe` finds the event. */
  readonly uid?: string | undefined;
  /** It was not so a moment ago, so it is recorded even if the same was recorded before. */
  readonly isNew?: boolean;
}

/** Records Kubernetes Events in the namespace of the InferenceServices. Never throws and never has to be waited for. */
export type EventRecorder = (event: RecordedEvent) => void;

/** @param now milliseconds on a clock that only goes forward */
export function createEventRecorder(
  apiServer: ApiServer,
  namespace: string,
  log: Log,
  now: () => number = () => performance.now(),
): EventRecorder {
  const recorded = new BoundedCache<number>(CAPACITY);
  // One after the other, so that hundreds of them do not hold up the Applies that they tell of, nor the answers.
  let last = Promise.resolve();
  let waiting = 0;
  return ({ type, reason, name, uid, isNew = false, ...event }) => {
    const message = withoutSecrets(event.message);
    const identity = JSON.stringify([name, uid, reason, message]);
    const before = recorded.get(identity);
    if (!isNew && before !== undefined && now() - before < REPEAT_AFTER[type]) return;
    if (waiting >= MAXIMUM_WAITING) return;
    recorded.set(identity, now());
    const time = new Date().toISOString();
    const regarding =
      name === undefined
        ? { apiVersion: "v1", kind: "Namespace", name: namespace, namespace }
        : { apiVersion: "serving.kserve.io/v1beta1", kind: "InferenceService", name, namespace };
    const body = {
      apiVersion: "v1",
      kind: "Event",
      // As client-go names events: the object's name and something unique.
      metadata: { name: `${regarding.name}.${randomBytes(8).toString("hex")}`, namespace },
      involvedObject: { ...regarding, ...(uid === undefined ? {} : { uid }) },
      type,
      reason,
      message: message.length > MAXIMUM_MESSAGE_LENGTH ? `${message.slice(0, MAXIMUM_MESSAGE_LENGTH - 1)}…` : message,
      firstTimestamp: time,
      lastTimestamp: time,
      count: 1,
      source: { component: "mlflow-kserve" },
      reportingComponent: "mlflow-kserve",
      reportingInstance: process.env.HOSTNAME ?? "mlflow-kserve",
    };
    const send = async (): Promise<void> => {
      await afterAnswers();
      try {
        await apiServer({ method: "POST", path: `/api/v1/namespaces/${namespace}/events`, body });
      } catch (error) {
        recorded.delete(identity);
        log.debug({ about: regarding.name, cause: messageOf(error) }, "The event could not be recorded");
      }
      waiting--;
    };
    waiting++;
    last = last.then(send);
  };
}
