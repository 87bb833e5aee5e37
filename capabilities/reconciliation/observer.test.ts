import { describe, expect, it } from "vitest";
import { liveService } from "../../test/support/unit/objects";
import type { LiveChanges } from "../../test/support/unit/objects";
import { recordingLog } from "../../test/support/unit/recording-log";
import type { RecordedLine } from "../../test/support/unit/recording-log";
import { FIELD_MANAGER } from "../kserve/inference-services";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import type { ModelVersionKey } from "../support/model-version-key";
import { changedLastByOthers, createObserver } from "./observer";
import type { Observer } from "./observer";
import type { Outcome } from "./reconciler";

const IRIS = { model: "iris", version: "3" };
const OUTCOME: Outcome = {
  action: "updated",
  inferenceService: "mlflow-iris-v3",
  namespace: "models",
  mlflowMilliseconds: 1,
  kubernetesMilliseconds: 1,
};

function setUp(fails?: Error): {
  readonly observer: Observer;
  readonly reconciled: readonly ModelVersionKey[];
  readonly lines: readonly RecordedLine[];
} {
  const reconciled: ModelVersionKey[] = [];
  const { log, lines } = recordingLog();
  const observer = createObserver(key => {
    reconciled.push(key);
    return fails ? Promise.reject(fails) : Promise.resolve(OUTCOME);
  }, log);
  return { observer, reconciled, lines };
}

type Field = "f:spec" | "f:status" | "labels" | "annotations" | "finalizers";

function entry(manager: string, second: number, field: Field = "f:spec", subresource?: string): object {
  const fieldsV1 = field.startsWith("f:") ? { [field]: {} } : { "f:metadata": { [`f:${field}`]: {} } };
  const time = new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();
  return { manager, time, fieldsV1, ...(subresource === undefined ? {} : { subresource }) };
}

function changedBy(...managedFields: readonly object[]): LiveInferenceService {
  return liveService(IRIS, { metadata: { managedFields } });
}

const OTHERS = changedBy(entry(FIELD_MANAGER, 1), entry("kubectl-edit", 2));

describe("changedLastByOthers", () => {
  it.each([
    ["nobody is known", changedBy(), false],
    ["we were last", changedBy(entry("kubectl-edit", 1), entry(FIELD_MANAGER, 2)), false],
    ["somebody else was last", OTHERS, true],
    ["somebody else was last, whatever the order", changedBy(entry("kubectl-edit", 2), entry(FIELD_MANAGER, 1)), true],
    ["both were in the same second", changedBy(entry("kubectl-edit", 1), entry(FIELD_MANAGER, 1)), true],
    ["somebody else changed labels", changedBy(entry(FIELD_MANAGER, 1), entry("x", 2, "labels")), true],
    ["somebody else changed annotations", changedBy(entry(FIELD_MANAGER, 1), entry("x", 2, "annotations")), true],
    ["KServe wrote the status", changedBy(entry(FIELD_MANAGER, 1), entry("manager", 2, "f:status", "status")), false],
    ["KServe set its finalizer", changedBy(entry(FIELD_MANAGER, 1), entry("manager", 2, "finalizers")), false],
  ])("when %s", (_, live, expected) => {
    expect(changedLastByOthers(live)).toBe(expected);
  });
});

describe("an observer", () => {
  it("reconciles what somebody else changed, once for each generation", async () => {
    const { observer, reconciled, lines } = setUp();
    await observer.changed(OTHERS);
    await observer.changed(OTHERS);
    expect(reconciled).toEqual([IRIS]);
    expect(lines).toMatchObject([
      {
        level: "info",
        message: "InferenceService changed by others, reconciled",
        fields: { ...IRIS, action: "updated" },
      },
    ]);
    await observer.changed({ ...OTHERS, metadata: { ...OTHERS.metadata, generation: 2 } });
    expect(reconciled).toHaveLength(2);
  });

  it("does not reconcile what we changed ourselves", async () => {
    const { observer, reconciled } = setUp();
    await observer.changed(changedBy(entry(FIELD_MANAGER, 1)));
    expect(reconciled).toEqual([]);
  });

  it("reconciles what was deleted", async () => {
    const { observer, reconciled, lines } = setUp();
    await observer.deleted(OTHERS);
    expect(reconciled).toEqual([IRIS]);
    expect(lines).toMatchObject([{ message: "InferenceService deleted, reconciled" }]);
  });

  it.each([
    ["no object", undefined],
    ["an object without metadata", {}],
    ["an object that only carries our label", liveService(IRIS, { metadata: { name: "somebodys" } })],
    ["an object without our label", liveService(IRIS, { metadata: { labels: {} } })],
  ])("does nothing about %s", async (_, object) => {
    const { observer, reconciled, lines } = setUp();
    await observer.changed(object);
    await observer.deleted(object);
    expect([reconciled, lines]).toEqual([[], []]);
  });

  it("logs a reconcile that failed, and does not fail itself", async () => {
    const { observer, lines } = setUp(new Error("MLflow is down"));
    await observer.deleted(OTHERS);
    expect(lines).toMatchObject([{ level: "error", fields: { ...IRIS, cause: "MLflow is down" } }]);
  });
});

describe("readiness", () => {
  const ready = (status: string, more: Readonly<Record<string, string>> = {}): LiveInferenceService => {
    const conditions = [{ type: "Ready", status, ...more }];
    const changes: LiveChanges = { status: { url: "http://iris.example.com", conditions } };
    return liveService(IRIS, changes);
  };

  it("is told when it changes, and only then", async () => {
    const { observer, lines } = setUp();
    await observer.changed(liveService(IRIS));
    await observer.changed(ready("False"));
    await observer.changed(ready("False", { reason: "NewReplicaSetCreated", message: "Created new replica set" }));
    await observer.changed(ready("False", { reason: "Deploying", message: "no pods" }));
    await observer.changed(ready("False", { reason: "Deploying", message: "still no pods" }));
    await observer.changed(ready("True"));
    await observer.changed(ready("True"));
    expect(lines.map(({ message }) => message)).toEqual(["InferenceService is not Ready", "InferenceService is Ready"]);
    expect(lines[0]?.fields).toMatchObject({ ...IRIS, reason: "Deploying", cause: "no pods" });
    expect(lines[1]?.fields).toMatchObject({ inference_service: "mlflow-iris-v3", url: "http://iris.example.com" });
    expect(lines[1]?.fields.seconds_since_creation).toBeGreaterThan(0);
  });

  it("of a model that cannot be loaded is told as an error, once until the service is Ready", async () => {
    const { observer, lines } = setUp();
    const loading = (transitionStatus: string, message: string): LiveInferenceService =>
      liveService(IRIS, {
        status: {
          conditions: [{ type: "Ready", status: "False", reason: "Unavailable", message: "no pods" }],
          modelStatus: { transitionStatus, lastFailureInfo: { reason: "ModelLoadFailed", message } },
        },
      });
    await observer.changed(loading("InProgress", ""));
    await observer.changed(loading("BlockedByFailedLoad", "12:00:01 no model in s3://b"));
    await observer.changed(loading("InProgress", "12:00:01 no model in s3://b"));
    await observer.changed(loading("BlockedByFailedLoad", "12:00:11 no model in s3://b"));
    await observer.changed(ready("True"));
    await observer.changed(loading("BlockedByFailedLoad", "12:09:00 no model in s3://b"));
    expect(lines.map(({ level, message, fields }) => [level, message, fields.cause])).toEqual([
      ["info", "InferenceService is not Ready", "no pods"],
      ["error", "The model could not be loaded", "ModelLoadFailed: 12:00:01 no model in s3://b"],
      ["info", "InferenceService is Ready", undefined],
      ["error", "The model could not be loaded", "ModelLoadFailed: 12:09:00 no model in s3://b"],
    ]);
  });

  it("is not told of a service that is on its way out", async () => {
    const { observer, lines } = setUp();
    const { status } = ready("False", { reason: "Deploying", message: "no pods" });
    await observer.changed(liveService(IRIS, { metadata: { deletionTimestamp: "2026-01-02T03:04:05Z" }, status }));
    expect(lines).toEqual([]);
  });

  it("is told anew for a service that was deleted and made again", async () => {
    const { observer, lines } = setUp();
    await observer.changed(ready("True"));
    await observer.deleted(ready("True"));
    await observer.changed(ready("True"));
    expect(lines.filter(({ message }) => message === "InferenceService is Ready")).toHaveLength(2);
  });
});
