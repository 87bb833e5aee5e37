import type { EventRecorder } from "../kubernetes/events";
import type { Log } from "../observability/logging";
import type { FleetCounts } from "../observability/metrics";
import { isHandover } from "../reconciliation/hold-reason";
import type { Deletion, Resynced } from "../reconciliation/resync";
import { describeHeld, describeNamesakes, describeRollout, describeStuck } from "./fleet-messages";

/** Tells what a poll found about many services together, when that changes. */
export interface FleetReporter {
  readonly found: (resynced: Resynced) => void;
}

/** What of it a Prometheus is told. */
export function fleetCounts({ heldRemovals, rollout }: Resynced): FleetCounts {
  return {
    // A handover under way is nothing to be alarmed at.
    deletionsHeld: heldRemovals.filter(({ reason }) => !isHandover(reason)).length,
    outdated: rollout.outdated,
    rolloutsStuck: rollout.stuck.length,
  };
}

/** Tells by the log, and by Events of the namespace what somebody has to act on. */
export function createFleetReporter(namespace: string, record: EventRecorder, log: Log): FleetReporter {
  const isNews = createMemory();
  let lastGoing: ReadonlySet<string> = new Set();

  const held = ({ heldRemovals: removals, report: { managed } }: Resynced): void => {
    const told = describeHeld(removals, managed, namespace);
    if (!isNews("held", told?.identity)) return;
    if (told === undefined) {
      log.info({ held: 0, managed }, "No deletion is held any more");
      return;
    }
    const { message, reason, services } = told;
    log[reason === "HandoverUnderWay" ? "info" : "error"]({ held: removals.length, managed, services }, message);
    record({ type: reason === "HandoverUnderWay" ? "Normal" : "Warning", reason, message });
  };

  /** Told of are those that were so a poll ago. */
  const stuck = (going: readonly Deletion[]): void => {
    const still = going.filter(({ inferenceService }) => lastGoing.has(inferenceService));
    lastGoing = new Set(going.map(({ inferenceService }) => inferenceService));
    const message = describeStuck(still, namespace);
    if (!isNews("stuck", message)) return;
    if (message === undefined) log.info({}, "No deletion is stuck any more");
    else {
      log.warn({ services: still.length }, message);
      record({ type: "Warning", reason: "DeletionStuck", message });
    }
  };

  const rollout = ({ rollout: state }: Resynced): void => {
    const told = describeRollout(state);
    if (!isNews("rollout", told?.message)) return;
    if (told === undefined) {
      log.info({}, "Rollout finished: all services are up to date");
      return;
    }
    log[told.level](told.fields, told.message);
    if (told.level === "error") record({ type: "Warning", reason: "RolloutStopped", message: told.message });
  };

  const namesakes = ({ namesakes: found }: Resynced): void => {
    const message = describeNamesakes(found, namespace);
    if (!isNews("namesakes", message)) return;
    if (message === undefined) {
      log.info({}, "No version has a second service any more");
      return;
    }
    log.warn({ services: found.length }, message);
    record({ type: "Warning", reason: "ServedTwice", message });
  };

  return {
    found(resynced) {
      held(resynced);
      stuck(resynced.going);
      rollout(resynced);
      namesakes(resynced);
    },
  };
}

/** Remembers what was told last about each subject; nothing was at first. */
function createMemory(): (subject: string, identity: string | undefined) => boolean {
  const last = new Map<string, string | undefined>();
  return (subject, identity) => {
    if (last.get(subject) === identity) return false;
    last.set(subject, identity);
    return true;
  };
}
