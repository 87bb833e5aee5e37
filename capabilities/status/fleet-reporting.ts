import type { EventRecorder } from "../kubernetes/events";
import type { Log } from "../observability/logging";
import type { HeldRemoval } from "../reconciliation/removals";
import type { Deletion } from "../reconciliation/resync";
import type { RolloutState } from "../reconciliation/template-rollout";
import { describeHeld, describeRollout, describeStuck } from "./fleet-messages";

/** Tells what a poll found about many services together, when that changes. */
export interface FleetReporter {
  /** Services that stay although MLflow does not want them, of how many. */
  readonly held: (removals: readonly HeldRemoval[], managed: number) => void;
  /** Services that are on their way out and are to be made again; told of are those that were so a poll ago. */
  readonly going: (going: readonly Deletion[]) => void;
  /** How far the rollout of a changed template is. */
  readonly rollout: (state: RolloutState) => void;
}

/** Tells by the log, and by Events of the namespace what somebody has to act on. */
export function createFleetReporter(namespace: string, record: EventRecorder, log: Log): FleetReporter {
  let lastHeld: string | undefined;
  let lastRollout: string | undefined;
  let lastStuck: string | undefined;
  let lastGoing: ReadonlySet<string> = new Set();
  return {
    held(removals, managed) {
      const told = describeHeld(removals, managed, namespace);
      if (told?.identity === lastHeld) return;
      lastHeld = told?.identity;
      if (told === undefined) {
        log.info({ held: 0, managed }, "No deletion is held any more");
        return;
      }
      const { message, reason, services } = told;
      log[reason === "HandoverUnderWay" ? "info" : "error"]({ held: removals.length, managed, services }, message);
      record({ type: reason === "HandoverUnderWay" ? "Normal" : "Warning", reason, message });
    },
    going(going) {
      const stuck = going.filter(({ inferenceService }) => lastGoing.has(inferenceService));
      lastGoing = new Set(going.map(({ inferenceService }) => inferenceService));
      const message = describeStuck(stuck, namespace);
      if (message === lastStuck) return;
      lastStuck = message;
      if (message === undefined) log.info({}, "No deletion is stuck any more");
      else log.warn({ services: stuck.length }, message);
    },
    rollout(state) {
      const told = describeRollout(state);
      if (told?.message === lastRollout) return;
      lastRollout = told?.message;
      if (told === undefined) {
        log.info({}, "Rollout finished: all services are up to date");
        return;
      }
      log[told.level](told.fields, told.message);
      if (told.level === "error") record({ type: "Warning", reason: "RolloutStopped", message: told.message });
    },
  };
}
