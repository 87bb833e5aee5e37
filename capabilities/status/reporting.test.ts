import { describe, expect, it } from "vitest";
import { recordingLog } from "../../test/support/unit/recording-log";
import type { RecordedEvent } from "../kubernetes/events";
import { MlflowError } from "../mlflow/errors";
import { ForeignObjectError, RefusedError } from "../reconciliation/errors";
import type { Action, Outcome } from "../reconciliation/reconciler";
import { createReporter } from "./reporting";

const KEY = { model: "iris", version: "3" };

function report(tell: (reporter: ReturnType<typeof createReporter>) => void): {
  events: readonly RecordedEvent[];
  messages: readonly string[];
} {
  const { log, lines } = recordingLog();
  const events: RecordedEvent[] = [];
  tell(createReporter("models", event => events.push(event), log));
  return { events, messages: lines.map(({ message }) => message) };
}

function outcome(action: Action, more: Partial<Outcome> = {}): Outcome {
  const times = { mlflowMilliseconds: 1, kubernetesMilliseconds: 1 };
  return { action, inferenceService: "mlflow-iris-v3", namespace: "models", ...times, ...more };
}

describe("createReporter", () => {
  it("logs each change once and records it on the object", () => {
    const { events, messages } = report(({ done }) => {
      done(KEY, outcome("created", { uid: "u1" }));
      done(KEY, outcome("updated", { uid: "u1" }));
      done(KEY, outcome("deleted", { uid: "u1", reason: "the model version has no tag deploy" }));
    });
    expect(messages).toEqual(["InferenceService created", "InferenceService updated", "InferenceService deleted"]);
    const about = { type: "Normal", name: "mlflow-iris-v3", uid: "u1" };
    expect(events).toEqual([
      { ...about, reason: "Deployed", message: '"iris" version 3 is served, because it is tagged in MLflow' },
      { ...about, reason: "Updated", message: '"iris" version 3 is served as it should be now' },
      {
        ...about,
        reason: "Removed",
        message: '"iris" version 3 is no longer served: the model version has no tag deploy',
      },
    ]);
  });

  it("is silent about what changes nothing", () => {
    const { events, messages } = report(({ done }) => {
      done(KEY, outcome("unchanged"));
      done(KEY, outcome("ignored"));
    });
    expect([events, messages]).toEqual([[], []]);
  });

  it("warns of what somebody has to change, and of nothing that passes by itself", () => {
    const { events } = report(({ failed }) => {
      failed(KEY, new RefusedError("dbfs: cannot be read"));
      failed(KEY, new ForeignObjectError("mlflow-iris-v3", "models", "theirs"));
      failed(KEY, new MlflowError("unreachable", "MLflow cannot be reached"));
    });
    expect(events).toMatchObject([
      {
        type: "Warning",
        reason: "Refused",
        name: "mlflow-iris-v3",
        message: '"iris" version 3 cannot be served: dbfs: cannot be read',
      },
      { type: "Warning", reason: "NameTaken", name: "mlflow-iris-v3", uid: "theirs" },
    ]);
    expect(events).toHaveLength(2);
  });

  it("is loud about a mass deletion that is held, with cause and cure", () => {
    const { events, messages } = report(({ held }) => {
      held({ held: 40, managed: 50 });
    });
    expect(messages).toEqual([
      expect.stringMatching(/^Mass deletion held: 40 of 50 services .* check that MLFLOW_KSERVE_/),
    ]);
    expect(events).toEqual([
      { type: "Warning", reason: "MassDeletionHeld", message: expect.stringMatching(/^40 of 50 services/) as string },
    ]);
  });

  it("survives a version that cannot even have a name", () => {
    const { events } = report(({ failed }) => {
      failed({ model: "iris", version: "latest" }, new RefusedError("no number"));
    });
    expect(events).toEqual([]);
  });
});
