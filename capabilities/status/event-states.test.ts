import { expect, it } from "vitest";
import type { RecordedEvent } from "../kubernetes/events";
import { withStateWords } from "./event-states";

it("tells the state of a version in Events that are about it, and leaves the others as they are", () => {
  const recorded: RecordedEvent[] = [];
  const record = withStateWords(event => recorded.push(event));
  for (const reason of ["NameTaken", "QuotaExceeded", "NoRuntime", "Deployed", "RolloutStopped"]) {
    record({ type: "Warning", reason, message: "cause", name: "mlflow-iris-v3" });
  }
  expect(recorded.map(({ reason, message }) => `${reason} ${message}`)).toEqual([
    "NameTaken Conflict: cause",
    "QuotaExceeded Refused: cause",
    "NoRuntime Failed: cause",
    "Deployed cause",
    "RolloutStopped cause",
  ]);
});
