import { describe, expect, it } from "vitest";
import { liveService } from "../../test/support/unit/objects";
import type { LiveInferenceService } from "./live-inference-service";
import { troubleOf } from "./troubles";

const SPEC = { predictor: { model: { modelFormat: { name: "mlflow" }, protocolVersion: "v2" } } };

function invalid(reason: string, message: string, spec: object = SPEC): LiveInferenceService {
  const modelStatus = { transitionStatus: "InvalidSpec", lastFailureInfo: { reason, message } };
  return liveService(undefined, { spec: { ...spec }, status: { modelStatus } });
}

function refused(message: string): LiveInferenceService {
  const condition = { status: "False", reason: "FailedCreate", message };
  const conditions = [
    { type: "PredictorReady", ...condition },
    { type: "Ready", ...condition },
  ];
  return liveService(undefined, { status: { conditions } });
}

describe("troubleOf", () => {
  // The texts are those of KServe 0.20 and Kubernetes 1.36.
  it.each([
    [
      "no runtime for the format",
      invalid("NoSupportingRuntime", "No runtime found to support specified framework/version"),
      "NoRuntime",
      /^KServe has no serving runtime for it \(NoSupportingRuntime: No runtime found .*; model format mlflow, protocolVersion v2\): install /,
    ],
    [
      "a runtime that there is not",
      invalid("RuntimeNotRecognized", "Waiting for runtime", { predictor: { model: { runtime: "mine" } } }),
      "NoRuntime",
      /RuntimeNotRecognized: Waiting for runtime; runtime mine\)/,
    ],
    ["a predictor of another form", invalid("NoSupportingRuntime", "", { predictor: "x" }), "NoRuntime", /Runtime\): /],
    [
      "a runtime without a container",
      invalid("InvalidPredictorSpec", "no container configuration found"),
      "InvalidSpec",
      /^KServe can make no pods of it \(InvalidPredictorSpec: no container configuration found\): correct the template/,
    ],
    [
      "Pod Security",
      refused(
        'pods "a-1" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true (container "x")',
      ),
      "PodsRefused",
      /they violate the Pod Security level restricted:latest of the namespace models \(runAsNonRoot != true .*: give the template/,
    ],
    [
      "a quota",
      refused('pods "a-1" is forbidden: exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0'),
      "PodsRefused",
      /a quota of the namespace models is exceeded \(q, requested: pods=1, .*\): raise the ResourceQuota/,
    ],
    [
      "anything else",
      refused('pods "a-1" is forbidden: error looking up service account models/x: not found'),
      "PodsRefused",
      /^Kubernetes makes no pods for it: error looking up service account models\/x: not found: see what refuses them with kubectl/,
    ],
  ])("names cause and cure of %s", (_, live, reason, message) => {
    expect(troubleOf(live)).toEqual({ reason, message: expect.stringMatching(message) as string });
    expect(troubleOf(live)?.message).not.toMatch(/a-1|\n/);
  });

  it("is nothing where there are pods, or may be", () => {
    expect(troubleOf(liveService())).toBeUndefined();
    const conditions = [{ type: "Ready", status: "False", reason: "MinimumReplicasUnavailable", message: "none" }];
    expect(troubleOf(liveService(undefined, { status: { conditions } }))).toBeUndefined();
  });
});
