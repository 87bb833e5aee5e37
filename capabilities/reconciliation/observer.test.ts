import { describe, expect, it } from "vitest";
import { liveService } from "../../test/support/unit/objects";
import { inMetadata, managedEntry, SPEC } from "../../test/support/unit/managed-fields";
import { deferred, settle } from "../../test/support/unit/outcomes";
import type { LiveChanges } from "../../test/support/unit/objects";
import { recordingLog } from "../../test/support/unit/recording-log";
import type { RecordedLine } from "../../test/support/unit/recording-log";
import { FIELD_MANAGER } from "../kserve/inference-services";
import type { RecordedEvent } from "../kubernetes/events";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import type { ModelVersionKey } from "../support/model-version-key";
import { createObserver } from "./observer";
import type { Observer, ObserverOptions } from "./observer";
import type { Outcome } from "./reconciler";

const IRIS = { model: "iris", version: "3" };
const OUTCOME: Outcome = {
  action: "updated",
  inferenceService: "mlflow-iris-v3",
  namespace: "models",
  mlflowMilliseconds: 1,
  kubernetesMilliseconds: 1,
};

interface Setup {
  readonly observer: Observer;
  readonly reconciled: readonly ModelVersionKey[];
  readonly lines: readonly RecordedLine[];
}

function setUp(
  reconcile: () => Promise<Outcome> = () => Promise.resolve(OUTCOME),
  options: Pick<ObserverOptions, "isDisputed" | "record"> = {},
): Setup {
  const reconciled: ModelVersionKey[] = [];
  const { log, lines } = recordingLog();
  const observer = createObserver({
    ...options,
    log,
    reconcile: key => {
      reconciled.push(key);
      return reconcile();
    },
  });
  return { observer, reconciled, lines };
}

/** A service at a resourceVersion, with what the fields of it belong to. */
function at(version: number, managedFields: readonly object[], metadata: LiveChanges["metadata"] = {}): object {
  return liveService(IRIS, { metadata: { resourceVersion: String(version), managedFields, ...metadata } });
}

const OURS = [managedEntry(FIELD_MANAGER, 1, { ...SPEC, ...inMetadata("labels") })];
/** A label of ours has become somebody else's. */
const TAKEN = [managedEntry(FIELD_MANAGER, 1), managedEntry("kubectl-label", 2, inMetadata("labels"))];

describe("an observer", () => {
  it("reconciles what somebody else changed, once for each change, and logs the end of it", async () => {
    const { observer, reconciled, lines } = setUp();
    observer.changed(at(99, OURS));
    observer.changed(at(100, TAKEN));
    // KServe's status, and what others do to what is not ours.
    observer.changed(at(101, TAKEN));
    observer.changed(at(102, [...TAKEN, managedEntry("manager", 3, { "f:status": {} }, "status")]));
    observer.changed(at(103, [...TAKEN, managedEntry("manager", 4, inMetadata("annotations"))]));
    expect(reconciled).toEqual([IRIS]);
    await settle();
    expect(lines).toMatchObject([
      {
        level: "info",
        message: "InferenceService changed by others, reconciled",
        fields: { ...IRIS, action: "updated" },
      },
    ]);
    observer.changed(at(104, [managedEntry("kubectl-label", 5)]));
    expect(reconciled).toHaveLength(2);
  });

  it("does not reconcile what we changed ourselves", () => {
    const { observer, reconciled } = setUp();
    observer.changed(at(1, OURS));
    observer.changed(at(2, [managedEntry(FIELD_MANAGER, 5)]));
    expect(reconciled).toEqual([]);
  });

  it("corrects who takes the identity from a service that it knows", () => {
    const { observer, reconciled } = setUp();
    observer.changed(at(1, OURS));
    observer.changed(at(2, TAKEN, { annotations: {} }));
    observer.deleted(at(3, TAKEN, { annotations: {} }));
    expect(reconciled).toEqual([IRIS, IRIS]);
  });

  it("does not wait for a reconcile, and logs what several events share once", async () => {
    const { promise, resolve } = deferred<Outcome>();
    const { observer, reconciled, lines } = setUp(() => promise);
    observer.changed(at(1, TAKEN));
    observer.deleted(at(2, TAKEN));
    expect(reconciled).toHaveLength(2);
    resolve(OUTCOME);
    await settle();
    expect(lines.map(({ message }) => message)).toEqual(["InferenceService changed by others, reconciled"]);
  });

  it("is no louder than debug about what needed no correction, and about what is disputed", async () => {
    const unchanged = setUp(() => Promise.resolve({ ...OUTCOME, action: "unchanged" }));
    const disputed = setUp(undefined, { isDisputed: ({ model }) => model === "iris" });
    for (const { observer } of [unchanged, disputed]) observer.changed(at(1, TAKEN));
    await settle();
    expect([...unchanged.lines, ...disputed.lines].map(({ level }) => level)).toEqual(["debug", "debug"]);
  });

  it.each([
    ["an older change", 9, [at(10, OURS)], "changed"],
    ["an older deletion", 9, [at(10, OURS)], "deleted"],
    ["an older change, by length", 9_999, [at(10_000, OURS)], "changed"],
  ] as const)("does nothing about %s", (_, version, before, what) => {
    const { observer, reconciled } = setUp();
    for (const object of before) observer.changed(object);
    observer[what](at(version, TAKEN));
    expect(reconciled).toEqual([]);
  });

  it("does nothing about changes and deletions that come after the deletion that they were before", () => {
    const { observer, reconciled } = setUp();
    observer.changed(at(10, OURS));
    // What a watch finds gone when it lists anew has the version of the last change.
    observer.deleted(at(10, OURS));
    observer.changed(at(9, TAKEN));
    observer.changed(at(10, TAKEN));
    observer.deleted(at(10, OURS));
    expect(reconciled).toHaveLength(1);
    // It only left the watch's selection, and is back.
    observer.changed(at(11, TAKEN));
    expect(reconciled).toHaveLength(2);
  });

  it("reconciles what was deleted", async () => {
    const { observer, reconciled, lines } = setUp();
    observer.deleted(at(1, OURS));
    expect(reconciled).toEqual([IRIS]);
    await settle();
    expect(lines).toMatchObject([{ message: "InferenceService deleted, reconciled" }]);
  });

  it.each([
    ["no object", undefined],
    ["an object without metadata", {}],
    ["an object that only carries our label", liveService(IRIS, { metadata: { name: "somebodys" } })],
    ["an object without our label", liveService(IRIS, { metadata: { labels: {} } })],
  ])("does nothing about %s", (_, object) => {
    const { observer, reconciled, lines } = setUp();
    observer.changed(object);
    observer.deleted(object);
    expect([reconciled, lines]).toEqual([[], []]);
  });

  it("does not fail with a reconcile, which is told of elsewhere", async () => {
    const { observer, lines } = setUp(() => Promise.reject(new Error("MLflow is down")));
    observer.deleted(at(1, OURS));
    await settle();
    expect(lines).toMatchObject([{ level: "debug", fields: { ...IRIS, cause: "MLflow is down" } }]);
  });
});

describe("readiness", () => {
  const ready = (status: string, more: Readonly<Record<string, string>> = {}): LiveInferenceService => {
    const conditions = [{ type: "Ready", status, ...more }];
    const changes: LiveChanges = { status: { url: "http://iris.example.com", conditions } };
    return liveService(IRIS, changes);
  };

  it("is told when it changes, and only then", () => {
    const { observer, lines } = setUp();
    observer.changed(liveService(IRIS));
    observer.changed(ready("False"));
    observer.changed(ready("False", { reason: "NewReplicaSetCreated", message: "Created new replica set" }));
    observer.changed(ready("False", { reason: "Deploying", message: "no pods" }));
    observer.changed(ready("False", { reason: "Deploying", message: "still no pods" }));
    observer.changed(ready("True"));
    observer.changed(ready("True"));
    expect(lines.map(({ message }) => message)).toEqual(["InferenceService is not Ready", "InferenceService is Ready"]);
    expect(lines[0]?.fields).toMatchObject({ ...IRIS, reason: "Deploying", cause: "no pods" });
    expect(lines[1]?.fields).toMatchObject({ inference_service: "mlflow-iris-v3", url: "http://iris.example.com" });
    expect(lines[1]?.fields.seconds_since_creation).toBeGreaterThan(0);
  });

  it("of a model that cannot be loaded is told as an error, once until the service is Ready", () => {
    const { observer, lines } = setUp();
    const loading = (transitionStatus: string, message: string): LiveInferenceService =>
      liveService(IRIS, {
        status: {
          conditions: [{ type: "Ready", status: "False", reason: "Unavailable", message: "no pods" }],
          modelStatus: { transitionStatus, lastFailureInfo: { reason: "ModelLoadFailed", message } },
        },
      });
    observer.changed(loading("InProgress", ""));
    observer.changed(loading("BlockedByFailedLoad", "12:00:01 no model in s3://b"));
    observer.changed(loading("InProgress", "12:00:01 no model in s3://b"));
    observer.changed(loading("BlockedByFailedLoad", "12:00:11 no model in s3://b"));
    observer.changed(ready("True"));
    observer.changed(loading("BlockedByFailedLoad", "12:09:00 no model in s3://b"));
    expect(lines.map(({ level, message, fields }) => [level, message, fields.cause])).toEqual([
      ["info", "InferenceService is not Ready", "no pods"],
      ["error", "The model could not be loaded", "ModelLoadFailed: 12:00:01 no model in s3://b"],
      ["info", "InferenceService is Ready", undefined],
      ["error", "The model could not be loaded", "ModelLoadFailed: 12:09:00 no model in s3://b"],
    ]);
  });

  it("is not told of a service that is on its way out", () => {
    const { observer, lines } = setUp();
    const { status } = ready("False", { reason: "Deploying", message: "no pods" });
    observer.changed(liveService(IRIS, { metadata: { deletionTimestamp: "2026-01-02T03:04:05Z" }, status }));
    expect(lines).toEqual([]);
  });

  it("is told anew for a service that was deleted and made again", () => {
    const { observer, lines } = setUp();
    const again = ready("True");
    observer.changed(ready("True"));
    observer.deleted(ready("True"));
    observer.changed({ ...again, metadata: { ...again.metadata, uid: "another" } });
    expect(lines.filter(({ message }) => message === "InferenceService is Ready")).toHaveLength(2);
  });
});

describe("what keeps a service from being Ready", () => {
  const said = (version: number, status: object): object =>
    liveService(IRIS, { metadata: { resourceVersion: String(version) }, status });
  const refused = (pod: string): object => ({
    conditions: [
      {
        type: "Ready",
        status: "False",
        reason: "FailedCreate",
        message: `pods "${pod}" is forbidden: exceeded quota: q`,
      },
    ],
  });
  const unavailable = {
    conditions: [{ type: "Ready", status: "False", reason: "MinimumReplicasUnavailable", message: "none" }],
  };
  const invalid = {
    conditions: [{ type: "Ready", status: "Unknown" }],
    modelStatus: {
      transitionStatus: "InvalidSpec",
      lastFailureInfo: { reason: "NoSupportingRuntime", message: "none" },
    },
  };
  const failed = { ...unavailable, modelStatus: { transitionStatus: "BlockedByFailedLoad" } };

  it("is logged and recorded once for each time, and not when it is only that there are no pods yet", () => {
    const events: RecordedEvent[] = [];
    const { observer, lines } = setUp(undefined, { record: event => events.push(event) });
    [
      refused("a"),
      refused("b"),
      unavailable,
      invalid,
      failed,
      { conditions: [{ type: "Ready", status: "True" }] },
      unavailable,
      refused("c"),
    ].forEach((status, version) => {
      observer.changed(said(version + 1, status));
    });
    expect(lines.map(({ level, message }) => `${level} ${message}`)).toEqual([
      "error InferenceService cannot become Ready",
      "error InferenceService cannot become Ready",
      "error The model could not be loaded",
      "info InferenceService is Ready",
      "info InferenceService is not Ready",
      "error InferenceService cannot become Ready",
    ]);
    expect(events.map(({ reason }) => reason)).toEqual(["PodsRefused", "NoRuntime", "ModelFailed", "PodsRefused"]);
    expect(events[0]).toMatchObject({
      type: "Warning",
      name: "mlflow-iris-v3",
      message: expect.stringMatching(
        /^"iris" version 3 does not serve: Kubernetes makes no pods for it: a quota of /,
      ) as string,
    });
  });
});
