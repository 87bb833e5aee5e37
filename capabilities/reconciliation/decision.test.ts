import { describe, expect, it } from "vitest";
import { modelVersion } from "../../test/support/unit/objects";
import type { ModelVersion } from "../mlflow/client";
import { decide, sameDecision } from "./decision";

function tagged(value: string, changes: Partial<ModelVersion> = {}): ModelVersion {
  return modelVersion({ tags: new Map([["deploy", value]]), ...changes });
}

describe("decide", () => {
  it.each(["true", "True", "TRUE", "tRuE"])("serves a version tagged %s", value => {
    const version = tagged(value);
    expect(decide(version, "deploy")).toEqual({ kind: "serve", version });
  });

  it.each(["", "false", " true", "true ", "true\n", "yes", "1", "trüe", "TRUE!", "null"])(
    "removes for the value %j",
    value => {
      expect(decide(tagged(value), "deploy")).toEqual({ kind: "remove", reason: 'the tag deploy is not "true"' });
    },
  );

  it("removes when the tag, or the version itself, does not exist in MLflow", () => {
    expect(decide(modelVersion({ tags: new Map([["Deploy", "true"]]) }), "deploy")).toEqual({
      kind: "remove",
      reason: "the model version has no tag deploy",
    });
    expect(decide(undefined, "deploy")).toEqual({
      kind: "remove",
      reason: "the model version does not exist in MLflow",
    });
  });

  it.each(["PENDING_REGISTRATION", ""])("neither serves nor removes while the status is %s", status => {
    expect(decide(tagged("true", { status }), "deploy")).toEqual({
      kind: "wait",
      reason: `MLflow has not finished the registration of the version (${status})`,
    });
  });

  it.each([
    [{}, "without saying why"],
    [{ statusMessage: "no access to s3://key:secret@bucket/a\n" }, 'saying "no access to s3://***@bucket/a"'],
  ])("refuses a version whose registration failed (%j), with the cure", (more, cause) => {
    expect(decide(tagged("true", { status: "FAILED_REGISTRATION", ...more }), "deploy")).toEqual({
      kind: "refuse",
      reason:
        `MLflow failed to register the version (FAILED_REGISTRATION), ${cause}: ` +
        "register it again, as a new version, and tag that one",
    });
  });

  it("removes an untagged version whatever its status", () => {
    expect(decide(tagged("false", { status: "PENDING_REGISTRATION" }), "deploy").kind).toBe("remove");
  });
});

describe("sameDecision", () => {
  const serve = decide(tagged("true"), "deploy");
  const remove = decide(undefined, "deploy");
  const wait = decide(tagged("true", { status: "PENDING_REGISTRATION" }), "deploy");
  const refuse = decide(tagged("true", { status: "FAILED_REGISTRATION" }), "deploy");

  it("asks only for what the service depends on", () => {
    expect(sameDecision(serve, decide(tagged("TRUE"), "deploy"))).toBe(true);
    expect(sameDecision(serve, decide(tagged("true", { source: "s3://other" }), "deploy"))).toBe(false);
    expect(sameDecision(serve, decide(tagged("true", { runId: "other" }), "deploy"))).toBe(false);
    expect(sameDecision(serve, decide(tagged("true", { createdAt: 5 }), "deploy"))).toBe(false);
    expect(sameDecision(remove, decide(tagged("false"), "deploy"))).toBe(true);
  });

  it("tells all kinds apart, both ways", () => {
    const kinds = [serve, remove, wait, refuse];
    expect(kinds.map(one => kinds.map(other => sameDecision(one, other)))).toEqual([
      [true, false, false, false],
      [false, true, false, false],
      [false, false, true, false],
      [false, false, false, true],
    ]);
  });
});
