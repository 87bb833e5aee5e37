import { describe, expect, it } from "vitest";
import { settle } from "../../test/support/unit/outcomes";
import { recordingLog } from "../../test/support/unit/recording-log";
import { KubernetesError } from "./api-server";
import { createEventRecorder } from "./events";
import type { RecordedEvent } from "./events";

const MINUTE = 60_000;
const WARNING: RecordedEvent = {
  type: "Warning",
  reason: "Refused",
  message: "dbfs: cannot be read",
  name: "mlflow-a",
};
const NORMAL: RecordedEvent = { type: "Normal", reason: "Updated", message: "as it should be", name: "mlflow-a" };

function setUp(failing = 0): { readonly at: (minute: number, event: RecordedEvent) => Promise<number> } {
  let now = 0;
  let sent = 0;
  let failures = failing;
  const apiServer = (): Promise<{ status: number; body: unknown }> => {
    sent++;
    if (failures-- > 0) return Promise.reject(new KubernetesError(0, "NoAnswer", "down"));
    return Promise.resolve({ status: 201, body: {} });
  };
  const record = createEventRecorder(apiServer, "models", recordingLog().log, () => now);
  return {
    async at(minute, event) {
      now = minute * MINUTE;
      record(event);
      await settle();
      await settle();
      return sent;
    },
  };
}

describe("an event about the same again", () => {
  it("is recorded when Kubernetes has forgotten a warning, and sooner when something was done", async () => {
    const warned = setUp();
    expect([await warned.at(0, WARNING), await warned.at(59, WARNING), await warned.at(61, WARNING)]).toEqual([
      1, 1, 2,
    ]);
    const done = setUp();
    expect([await done.at(0, NORMAL), await done.at(9, NORMAL), await done.at(11, NORMAL)]).toEqual([1, 1, 2]);
  });

  it("is recorded at once when it was not so meanwhile, or did not arrive", async () => {
    const { at } = setUp();
    expect([await at(0, WARNING), await at(1, { ...WARNING, isNew: true }), await at(2, WARNING)]).toEqual([1, 2, 2]);
    const failing = setUp(1);
    expect([await failing.at(0, WARNING), await failing.at(1, WARNING), await failing.at(2, WARNING)]).toEqual([
      1, 2, 2,
    ]);
  });
});
