import { describe, expect, it } from "vitest";
import { recordingLog } from "../../test/support/unit/recording-log";
import type { RecordedEvent } from "../kubernetes/events";
import { createFleetReporter } from "./fleet-reporting";
import type { FleetReporter } from "./fleet-reporting";

function report(tell: (reporter: FleetReporter) => void): { events: RecordedEvent[]; messages: string[] } {
  const { log, lines } = recordingLog();
  const events: RecordedEvent[] = [];
  tell(createFleetReporter("models", event => events.push(event), log));
  return { events, messages: lines.map(({ message }) => message) };
}

describe("createFleetReporter", () => {
  it("is loud about a mass deletion that is held, with cause and cure, once until it changes", () => {
    const removals = ["iris", "wine"].map(model => ({
      key: { model, version: "1" },
      inferenceService: `mlflow-${model}-v1`,
      reason: "mass" as const,
    }));
    const { events, messages } = report(({ held }) => {
      held(removals, 2);
      held(removals, 2);
      held([], 2);
    });
    const message = expect.stringMatching(
      /^Mass deletion held: 2 of 2 services .*mlflow-iris-v1, mlflow-wine-v1.*Check that MLFLOW_KSERVE_.*kubectl delete inferenceservice -n models.*mlflow.management=paused/,
    ) as string;
    expect(messages).toEqual([message, "No deletion is held any more"]);
    expect(events).toEqual([{ type: "Warning", reason: "MassDeletionHeld", message }]);
  });

  it("tells a stopped rollout with its cause, and its end", () => {
    const stuck = [{ inferenceService: "mlflow-iris-v1", progress: "stuck" as const, cause: "no node has room" }];
    const { events, messages } = report(({ rollout }) => {
      for (let pass = 0; pass < 2; pass++) rollout({ outdated: 3, rollingOut: 0, stuck, preview: [] });
      rollout({ outdated: 0, rollingOut: 0, stuck: [], preview: [] });
    });
    const message = expect.stringMatching(
      /^Rollout stopped with 3 services to go, because mlflow-iris-v1 did not become Ready in time \(no node has room\): correct/,
    ) as string;
    expect(messages).toEqual([message, "Rollout finished: all services are up to date"]);
    expect(events).toEqual([{ type: "Warning", reason: "RolloutStopped", message }]);
  });

  it("names who holds a deletion that does not end, once", () => {
    const stuck = [{ inferenceService: "mlflow-iris-v1", finalizers: ["inferenceservice.finalizers"] }];
    const { messages } = report(reporter => {
      for (let poll = 0; poll < 3; poll++) reporter.going(stuck);
      reporter.going([]);
    });
    expect(messages).toEqual([expect.stringContaining("inferenceservice.finalizers"), "No deletion is stuck any more"]);
  });
});
