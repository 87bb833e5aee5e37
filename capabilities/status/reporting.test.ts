import { describe, expect, it } from "vitest";
import { recordingLog } from "../../test/support/unit/recording-log";
import type { RecordedLine } from "../../test/support/unit/recording-log";
import type { RecordedEvent } from "../kubernetes/events";
import { KubernetesError } from "../kubernetes/api-server";
import { MlflowError } from "../mlflow/errors";
import { ForeignObjectError, RefusedError } from "../reconciliation/errors";
import type { Action, Outcome } from "../reconciliation/reconciler";
import { createReporter } from "./reporting";

const KEY = { model: "iris", version: "3" };

function report(tell: (reporter: ReturnType<typeof createReporter>) => void): {
  events: readonly RecordedEvent[];
  messages: readonly string[];
  lines: readonly RecordedLine[];
} {
  const { log, lines } = recordingLog();
  const events: RecordedEvent[] = [];
  tell(createReporter("models", event => events.push(event), log));
  return { events, messages: lines.map(({ message }) => message), lines };
}

/** What the changes were made for. */
const POLL = { cause: "poll" } as const;

function outcome(action: Action, more: Partial<Outcome> = {}): Outcome {
  const times = { mlflowMilliseconds: 1, kubernetesMilliseconds: 1 };
  return { action, inferenceService: "mlflow-iris-v3", namespace: "models", ...times, ...more };
}

describe("createReporter", () => {
  it("logs each change once and records it on the object", () => {
    const { events, messages } = report(({ done }) => {
      done(KEY, outcome("created", { uid: "u1" }), POLL);
      done(KEY, outcome("updated", { uid: "u1" }), POLL);
      done(KEY, outcome("deleted", { uid: "u1", reason: "the model version has no tag deploy" }), POLL);
    });
    expect(messages).toEqual(["InferenceService created", "InferenceService updated", "InferenceService deleted"]);
    const about = { type: "Normal", name: "mlflow-iris-v3", uid: "u1" };
    expect(events).toEqual([
      {
        ...about,
        reason: "Deployed",
        message: '"iris" version 3 is served, as its tag or an alias of its model says in MLflow',
      },
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
      done(KEY, outcome("unchanged"), POLL);
      done(KEY, outcome("ignored"), POLL);
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

  it("says on change what cannot be served, and when that is over", () => {
    const refusal = new RefusedError("dbfs: cannot be read");
    const { events, lines } = report(({ failed, done, pollEnded }) => {
      for (let poll = 0; poll < 3; poll++) {
        failed(KEY, refusal);
        // The resync tells of what the queue told of before.
        failed(KEY, refusal);
        failed({ model: "wine", version: "1" }, new KubernetesError(422, "Invalid", "no owner"));
        pollEnded([KEY, { model: "wine", version: "1" }]);
      }
      failed(KEY, new RefusedError("hdfs: cannot be read"));
      done(KEY, outcome("unchanged"), POLL);
      pollEnded([{ model: "wine", version: "1" }]);
      pollEnded([]);
    });
    expect(lines.filter(({ level }) => level !== "debug").map(({ level, message }) => `${level} ${message}`)).toEqual([
      "error Model version cannot be served until somebody changes something",
      "error Model version cannot be served until somebody changes something",
      "warn 2 versions cannot be served: 1 refused, 1 rejected",
      "error Model version cannot be served until somebody changes something",
      "info Model version is served again",
      "warn 1 version cannot be served: 1 rejected",
      "info Model version no longer fails to be served",
      "info No version fails to be served any more",
    ]);
    // Repetitions are left to the recorder, which knows what Kubernetes still has.
    expect(events.filter(({ isNew }) => isNew).map(({ reason }) => reason)).toEqual(["Refused", "Invalid", "Refused"]);
    expect(events).toHaveLength(3 * 3 + 1);
  });

  it("warns once of what has to be waited for, without an Event", () => {
    const { events, lines } = report(({ failed }) => {
      const waits = (): void => {
        failed(KEY, new KubernetesError(409, "BeingDeleted", "it waits for example.com/stuck"));
      };
      waits();
      waits();
    });
    expect(lines.map(({ level }) => level)).toEqual(["warn", "debug"]);
    expect(lines[0]).toMatchObject({
      message: "Model version waits to be served",
      fields: { ...KEY, owner: "kubernetes" },
    });
    expect(events).toEqual([]);
  });

  it("forgets a failure that is over also where others change the service again and again", () => {
    const { log, lines } = recordingLog();
    const events: RecordedEvent[] = [];
    const reporter = createReporter("models", event => events.push(event), log);
    reporter.failed(KEY, new RefusedError("dbfs: cannot be read"));
    reporter.done(KEY, outcome("updated"), POLL, true);
    expect(reporter.failureOf(KEY)).toBeUndefined();
    expect(lines.slice(1).map(({ level, message }) => `${level} ${message}`)).toEqual([
      "info Model version is served again",
      "debug InferenceService put right once more",
    ]);
    expect(events).toHaveLength(1);
  });

  it("survives a version that cannot even have a name", () => {
    const { events } = report(({ failed }) => {
      failed({ model: "iris", version: "latest" }, new RefusedError("no number"));
    });
    expect(events).toEqual([]);
  });

  it("names others who change a service again and again, and what they set", () => {
    const { events, messages } = report(({ disputed }) => {
      const fields = ["spec.a", "spec.b", "spec.c", "spec.d"].map(field => ({ manager: "argocd", field }));
      disputed(KEY, outcome("updated", { uid: "u1" }), 3, fields.slice(0, 1));
      disputed(KEY, outcome("updated", { uid: "u1" }), 3, fields);
      disputed(KEY, outcome("updated", { uid: "u1" }), 3, [{ manager: undefined, field: "spec.a" }]);
      disputed(KEY, outcome("created", { uid: "u2" }), 3, []);
    });
    expect(events.map(({ message }) => message)).toEqual(messages);
    expect(messages.map(message => message.split(": ")[1]?.split("; ")[0])).toEqual([
      "the field manager argocd sets spec.a",
      "the field manager argocd sets spec.a, the field manager argocd sets spec.b, the field manager argocd sets spec.c, and 1 more",
      "somebody removes spec.a",
      "somebody deletes it, or changes what it consists of",
    ]);
    expect(events[0]).toEqual({
      type: "Warning",
      reason: "ChangedByOthers",
      message:
        '"iris" version 3 was put right 3 times, and changed again each time: the field manager argocd sets spec.a; let only one of the two set that, or make this module leave the service alone with the annotation mlflow.management=paused; until then it is put right less and less often',
      name: "mlflow-iris-v3",
      uid: "u1",
    });
  });
});
