import { describe, expect, it } from "vitest";
import { liveService } from "../../test/support/unit/objects";
import { causeOf, hasFailedToLoad, isRolledOut, isStarting, stateOf, stateSince } from "./service-state";

const READY = { type: "Ready", status: "True", message: "" };
const NOT_READY = { type: "Ready", status: "False", message: "Deployment does not have minimum availability." };
const NO_PREDICTOR = { type: "PredictorReady", status: "False" };

const service = (...conditions: readonly object[]): ReturnType<typeof liveService> =>
  liveService(undefined, { status: { conditions } });

const failed = (lastFailureInfo?: unknown): ReturnType<typeof liveService> =>
  liveService(undefined, {
    status: {
      conditions: [NOT_READY, NO_PREDICTOR],
      modelStatus: { transitionStatus: "BlockedByFailedLoad", ...(lastFailureInfo ? { lastFailureInfo } : {}) },
    },
  });

/** What KServe says where it knows no runtime for the model: nothing in the condition Ready. */
const unsupported = (ready: object = { type: "Ready", status: "Unknown" }): ReturnType<typeof liveService> =>
  liveService(undefined, {
    status: {
      conditions: [ready],
      modelStatus: {
        transitionStatus: "InvalidSpec",
        lastFailureInfo: { reason: "NoSupportingRuntime", message: "No runtime found" },
      },
    },
  });

const LOG = "kubectl logs -n models -l serving.kserve.io/inferenceservice=mlflow-iris-v3 --all-containers";

/** Milliseconds. */
const LIMIT = 900_000;

describe("stateOf", () => {
  it.each([
    ["Ready", service(READY)],
    ["Starting", service(NOT_READY)],
    ["Starting", service()],
    ["Starting", service({ type: "Ready", status: "Unknown" })],
    ["Failed", unsupported()],
    ["Failed", failed()],
    ["Stopping", liveService(undefined, { metadata: { deletionTimestamp: "2026-01-02T03:04:05Z" } })],
  ])("is %s", (expected, live) => {
    expect(stateOf(live, LIMIT, Date.parse(live.metadata.creationTimestamp))).toBe(expected);
  });

  it.each([
    [
      "since it stopped being Ready",
      service({ ...NOT_READY, lastTransitionTime: "2026-01-02T04:00:00Z" }),
      "2026-01-02T04:00:00Z",
    ],
    ["since it was made, when nobody says anything", service(), "2026-01-02T03:04:05Z"],
  ])("is Failed after the limit, %s", (_, live, since) => {
    const end = Date.parse(since) + LIMIT;
    expect([stateOf(live, LIMIT, end), stateOf(live, LIMIT, end + 1)]).toEqual(["Starting", "Failed"]);
    expect(stateSince(live)).toBe(Date.parse(since));
  });
});

describe("causeOf", () => {
  it.each([
    ["nothing for a service that is Ready", service(READY), undefined],
    ["that KServe has not said anything", service(), expect.stringContaining("KServe has said nothing") as string],
    ["nothing when Ready has a reason alone", service({ ...NOT_READY, message: "", reason: "X" }), undefined],
    [
      "what is wrong with a new form, while the former serves",
      unsupported(READY),
      expect.stringMatching(/^It serves in its former form; .*NoSupportingRuntime/) as string,
    ],
    ["KServe's message", service({ ...NOT_READY, message: "Ingress not created" }), "Ingress not created"],
    [
      "where the log is when the predictor does not run",
      service(NOT_READY, NO_PREDICTOR),
      `${NOT_READY.message} Its log: ${LOG}`,
    ],
    [
      "the last line of what the download said",
      failed({ reason: "ModelLoadFailed", message: "Traceback\n  File\nRuntimeError: No model found in s3://b\n" }),
      "ModelLoadFailed: RuntimeError: No model found in s3://b",
    ],
    [
      "where the log is when a server failed without a word",
      failed({ reason: "ModelLoadFailed", message: " \n" }),
      `${NOT_READY.message} Its log: ${LOG}`,
    ],
    [
      "that failure without what is somebody's secret",
      failed({ reason: "ModelLoadFailed", message: "403 for url: https://s3.example.com/m?X-Amz-Signature=secret" }),
      "ModelLoadFailed: 403 for url: https://s3.example.com/m?***",
    ],
    [
      "what is wrong with the spec, when KServe says nothing else",
      unsupported(),
      expect.stringContaining("NoSupportingRuntime") as string,
    ],
    [
      "who holds a deletion",
      liveService(undefined, {
        metadata: { deletionTimestamp: "2026-01-02T03:04:05Z", finalizers: ["example.com/backup"] },
        status: { conditions: [NOT_READY] },
      }),
      "It waits for example.com/backup (finalizers): if that takes long, see that the controller that sets them runs",
    ],
    [
      "nothing for a deletion that nobody holds",
      liveService(undefined, { metadata: { deletionTimestamp: "2026-01-02T03:04:05Z" } }),
      undefined,
    ],
    ["where the log is when nothing is known of the failure", failed(), `${NOT_READY.message} Its log: ${LOG}`],
  ])("is %s", (_, live, expected) => {
    expect(causeOf(live)).toEqual(expected);
  });

  it("names the one cause that neither status nor a failure shows, when a start has taken longer than usual", () => {
    const live = service({ ...NOT_READY, lastTransitionTime: "2026-01-02T03:04:05Z" }, NO_PREDICTOR);
    const since = Date.parse("2026-01-02T03:04:05Z");
    expect(causeOf(live, since + 119_000)).toBe(`${NOT_READY.message} Its log: ${LOG}`);
    expect(causeOf(live, since + 121_000)).toBe(
      `${NOT_READY.message} Its log: ${LOG}; where that has 404 for /v2/models/mlflow-iris-v3/ready, ` +
        "a model-settings.json in the artifacts names another model: take the name out of it and log the model again",
    );
  });

  it("is cut to a length that a log line bears", () => {
    expect(causeOf(failed({ reason: "ModelLoadFailed", message: "x".repeat(10_000) }))).toHaveLength(
      "ModelLoadFailed: ".length + 500,
    );
  });
});

describe("isRolledOut", () => {
  it("is not so while KServe can make nothing of the new form, whatever it says of the former", () => {
    expect(isRolledOut(service(READY))).toBe(true);
    expect(isRolledOut(unsupported(READY))).toBe(false);
  });
});

describe("isStarting", () => {
  it("is over when KServe can make nothing of the service", () => {
    expect(isStarting(unsupported({ type: "Ready", status: "Unknown" }))).toBe(false);
  });

  it.each([
    ["the Deployment's progress is all that is said", { reason: "NewReplicaSetCreated", message: "Created" }, true],
    ["nothing is said", {}, true],
    ["a cause is said", { reason: "MinimumReplicasUnavailable", message: "no pods" }, false],
    ["it is Ready", { status: "True" }, false],
  ])("when %s", (_, more, expected) => {
    expect(isStarting(service({ type: "Ready", status: "False", ...more }))).toBe(expected);
  });

  it("is not known of a service that KServe has not looked at", () => {
    expect(isStarting(service())).toBe(false);
  });
});

describe("hasFailedToLoad", () => {
  it("is true once KServe says so, and false for a form of the status that is not known", () => {
    expect(hasFailedToLoad(failed())).toBe(true);
    expect(hasFailedToLoad(service(NOT_READY))).toBe(false);
    const strange = liveService(undefined, { status: { conditions: [NOT_READY], modelStatus: "strange" } });
    expect(hasFailedToLoad(strange)).toBe(false);
    expect(stateOf(strange, LIMIT, Date.parse(strange.metadata.creationTimestamp))).toBe("Starting");
  });
});
