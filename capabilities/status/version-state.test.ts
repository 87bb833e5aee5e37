import { describe, expect, it } from "vitest";
import { liveService, START_LIMIT } from "../../test/support/unit/objects";
import { factsOf } from "../kserve/service-facts";
import type { ServiceFacts } from "../kserve/service-facts";
import type { Failure } from "../reconciliation/failures";
import { versionState } from "./version-state";
import type { VersionFacts } from "./version-state";

const URL = "http://iris.models.svc.cluster.local";

const service = (metadata: object, ...conditions: object[]): ServiceFacts =>
  factsOf(liveService(undefined, { metadata: { ...metadata }, status: { conditions } }), START_LIMIT);
const READY = service({}, { type: "Ready", status: "True", lastTransitionTime: "2026-02-03T04:05:06Z" });
const PAUSED = service({ annotations: { "mlflow.management": "paused" } }, { type: "Ready", status: "True" });
const GOING = service({ deletionTimestamp: "2026-03-04T05:06:07Z", finalizers: ["example.com/backup"] });

const failure = (changes: Partial<Failure>): Failure => ({
  ...{ kind: "permanent", owner: "version", answer: 422, status: "refused", message: "cause and cure" },
  ...changes,
});
const stateOf = (facts: Partial<VersionFacts>): unknown =>
  versionState({ wish: { kind: "serve" }, service: undefined, ...facts }, ({ urls }) => urls && URL);

describe("versionState", () => {
  it.each<[string, Partial<VersionFacts>, object | undefined]>([
    ["a tagged version that is about to be made", {}, { word: "Starting" }],
    [
      "one that cannot be made at this moment",
      { failure: failure({ kind: "passing", message: "MLflow cannot be reached" }) },
      { word: "Waiting", cause: "MLflow cannot be reached" },
    ],
    ["one that serves", { service: READY }, { word: "Ready", url: URL, since: Date.parse("2026-02-03T04:05:06Z") }],
    ["one that serves, of which MLflow was not asked yet", { wish: undefined, service: READY }, { word: "Ready" }],
    ["one whose registration goes on", { wish: { kind: "wait", reason: "not finished" } }, { word: "Waiting" }],
    [
      "one whose registration failed",
      { wish: { kind: "refuse", reason: "failed" } },
      { word: "Refused", cause: "failed" },
    ],
    ["one that is refused", { failure: failure({}) }, { word: "Refused", cause: "cause and cure" }],
    [
      "one that is refused while a former form serves",
      { service: READY, failure: failure({}) },
      { word: "Refused", url: URL, cause: "cause and cure" },
    ],
    ["one that admission refuses", { failure: failure({ event: "RejectedByAdmission" }) }, { word: "Refused" }],
    ["one whose name is taken", { failure: failure({ status: "conflict", event: "NameTaken" }) }, { word: "Conflict" }],
    ["one that waits for a deletion", { failure: failure({ kind: "waiting" }) }, { word: "Waiting" }],
    ["one that a person has paused", { service: PAUSED }, { word: "Waiting", url: URL }],
    [
      "one that MLflow does not want and that is held",
      { wish: { kind: "remove", reason: "no tag" }, service: READY, hold: "too many at once" },
      { word: "Waiting", url: URL, cause: "too many at once" },
    ],
    [
      "one whose service could not be deleted",
      {
        wish: { kind: "remove", reason: "no tag" },
        service: READY,
        failure: failure({ kind: "passing", message: "no right to delete" }),
      },
      { word: "Stopping", cause: "no right to delete" },
    ],
    [
      "one that MLflow does not want",
      { wish: { kind: "remove", reason: "no tag" }, service: READY },
      { word: "Stopping", cause: "no tag" },
    ],
    ["one that is on its way out", { service: GOING }, { word: "Stopping", since: Date.parse("2026-03-04T05:06:07Z") }],
    ["one that has nothing to do with serving", { wish: { kind: "remove", reason: "no tag" } }, undefined],
  ])("of %s", (_, facts, expected) => {
    if (expected === undefined) expect(stateOf(facts)).toBeUndefined();
    else expect(stateOf(facts)).toMatchObject(expected);
  });
});
