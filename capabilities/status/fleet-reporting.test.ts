import { describe, expect, it } from "vitest";
import { recordingLog } from "../../test/support/unit/recording-log";
import type { RecordedEvent } from "../kubernetes/events";
import type { Resynced } from "../reconciliation/resync";
import { createFleetReporter, fleetCounts } from "./fleet-reporting";
import type { FleetReporter } from "./fleet-reporting";

function report(tell: (reporter: FleetReporter) => void): { events: RecordedEvent[]; messages: string[] } {
  const { log, lines } = recordingLog();
  const events: RecordedEvent[] = [];
  tell(createFleetReporter("models", event => events.push(event), log));
  return { events, messages: lines.map(({ message }) => message) };
}

/** What a poll that found nothing special tells, but for what is given. */
function resynced(found: Partial<Resynced>, managed = 0): Resynced {
  const counts = { created: 0, updated: 0, deleted: 0, held: 0, outdated: 0, failed: 0 };
  return {
    tagged: [],
    report: { tagged: 0, managed, ...counts },
    heldRemovals: [],
    undecidedRemovals: [],
    going: [],
    namesakes: [],
    rollout: { outdated: 0, rollingOut: 0, stuck: [], preview: [] },
    ...found,
  };
}

describe("createFleetReporter", () => {
  it("is loud about a mass deletion that is held, with cause and cure, once until it changes", () => {
    const removals = ["iris", "wine"].map(model => ({
      key: { model, version: "1" },
      inferenceService: `mlflow-${model}-v1`,
      reason: "mass" as const,
      isNotAllowed: false,
    }));
    const { events, messages } = report(({ found }) => {
      found(resynced({ heldRemovals: removals }, 2));
      found(resynced({ heldRemovals: removals }, 2));
      found(resynced({}, 2));
    });
    const message = expect.stringMatching(
      /^Mass deletion held: 2 of 2 services .*mlflow-iris-v1, mlflow-wine-v1.*Check that MLFLOW_KSERVE_.*kubectl delete inferenceservice -n models.*mlflow.management=paused/,
    ) as string;
    expect(messages).toEqual([message, "No deletion is held any more"]);
    expect(events).toEqual([{ type: "Warning", reason: "MassDeletionHeld", message }]);
  });

  it("names the setting when it is the storage that is not allowed", () => {
    const held = { key: { model: "iris", version: "1" }, inferenceService: "mlflow-iris-v1", reason: "mass" as const };
    const { messages } = report(({ found }) => {
      found(resynced({ heldRemovals: [{ ...held, isNotAllowed: true }] }, 1));
    });
    expect(messages).toEqual([
      expect.stringContaining("1 are in a storage that is not below any of MLFLOW_KSERVE_ALLOWED_STORAGE_URIS: check"),
    ]);
  });

  it("tells a stopped rollout with its cause, and its end", () => {
    const stuck = [{ inferenceService: "mlflow-iris-v1", progress: "stuck" as const, cause: "no node has room" }];
    const rollout = { outdated: 3, rollingOut: 0, stuck, preview: [] };
    expect(fleetCounts(resynced({ rollout }))).toEqual({ deletionsHeld: 0, outdated: 3, rolloutsStuck: 1 });
    const { events, messages } = report(({ found }) => {
      for (let poll = 0; poll < 2; poll++) found(resynced({ rollout }));
      found(resynced({}));
    });
    const message = expect.stringMatching(
      /^Rollout stopped with 3 services to go, because mlflow-iris-v1 did not become Ready in time \(no node has room\): correct/,
    ) as string;
    expect(messages).toEqual([message, "Rollout finished: all services are up to date"]);
    expect(events).toEqual([{ type: "Warning", reason: "RolloutStopped", message }]);
  });

  it("names who holds a deletion that does not end, once", () => {
    const stuck = [
      { inferenceService: "mlflow-iris-v1", isTagged: true, finalizers: ["inferenceservice.finalizers"] },
      { inferenceService: "mlflow-wine-v1", isTagged: false, finalizers: ["example.com/backup"] },
    ];
    const { events, messages } = report(({ found }) => {
      for (let poll = 0; poll < 3; poll++) found(resynced({ going: stuck }));
      found(resynced({}));
    });
    const message = expect.stringMatching(
      /^2 services are still being deleted; 1 of them are tagged in MLflow, .*: mlflow-iris-v1, mlflow-wine-v1. Held by the finalizers example.com\/backup, inferenceservice.finalizers: /,
    ) as string;
    expect(messages).toEqual([message, "No deletion is stuck any more"]);
    expect(events).toEqual([{ type: "Warning", reason: "DeletionStuck", message }]);
  });

  it("names services that the listener before this module left beside those of their versions, with the cure", () => {
    const namesakes = [{ inferenceService: "mlflow-iris-model-v1", beside: "mlflow-iris-model-5f2a-v1" }];
    const { events, messages } = report(({ found }) => {
      for (let poll = 0; poll < 2; poll++) found(resynced({ namesakes }));
    });
    const message = expect.stringMatching(
      /mlflow-iris-model-v1 \(here mlflow-iris-model-5f2a-v1\).*kubectl delete inferenceservice -n models.*mlflow.management=released/,
    ) as string;
    expect(messages).toEqual([message]);
    expect(events).toEqual([{ type: "Warning", reason: "ServedTwice", message }]);
  });
});
