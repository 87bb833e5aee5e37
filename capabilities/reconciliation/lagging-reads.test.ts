import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { OUTCOME } from "../../test/support/unit/deliveries";
import { modelVersion } from "../../test/support/unit/objects";
import { recordingLog } from "../../test/support/unit/recording-log";
import type { ModelVersion } from "../mlflow/client";
import { createLaggingReads } from "./lagging-reads";
import type { LaggingReads } from "./lagging-reads";

const KEY = { model: "iris", version: "3" };

interface SetUp {
  readonly reads: LaggingReads;
  readonly ends: string[];
  readonly looks: () => number;
  /** Resolves with the next end. */
  readonly ended: Promise<string>;
}

const tagged = (value: string | undefined): ModelVersion =>
  modelVersion({ tags: new Map(value === undefined ? [] : [["deploy", value]]) });

/** @param answers what MLflow says of the tag, look by look; an Error is thrown */
function setUp(...answers: (string | undefined | Error)[]): SetUp {
  const ends: string[] = [];
  let looks = 0;
  let tell: (result: string) => void = () => undefined;
  const ended = new Promise<string>(resolve => (tell = resolve));
  const reads = createLaggingReads({
    reconcile: () => {
      const answer = answers[looks++];
      return answer instanceof Error
        ? Promise.reject(answer)
        : Promise.resolve({ ...OUTCOME, version: tagged(answer) });
    },
    deployTagKey: "deploy",
    log: recordingLog().log,
    onEnd: result => {
      ends.push(result);
      tell(result);
    },
    pauses: [1, 2, 4],
  });
  return { reads, ends, looks: () => looks, ended };
}

describe("createLaggingReads", () => {
  it("looks at nothing again where event and answer agree", async () => {
    const { reads, looks, ends } = setUp();
    reads.compare(KEY, { value: "true" }, "true");
    reads.compare(KEY, { value: undefined }, undefined);
    await sleep(20);
    expect([looks(), ends]).toEqual([0, []]);
  });

  it.each([
    ["a tag that was set", "true", undefined],
    ["a tag that was taken away", undefined, "true"],
    ["a value that was changed", "false", "true"],
  ])("looks until MLflow knows of %s", async (_what, told, answered) => {
    const { reads, ended, looks } = setUp(answered, told);
    reads.compare(KEY, { value: told }, answered);
    expect([await ended, looks()]).toEqual(["caught_up", 2]);
  });

  it("goes on after a failure, and ends after the last pause", async () => {
    const { reads, ended, looks } = setUp(new Error("no answer"), undefined, undefined);
    reads.compare(KEY, { value: "true" }, undefined);
    expect([await ended, looks()]).toEqual(["unresolved", 3]);
  });

  it("leaves what a later event about the version overtook", async () => {
    const { reads, looks, ends } = setUp();
    reads.compare(KEY, { value: "true" }, undefined);
    reads.compare(KEY, { value: undefined }, undefined);
    await sleep(20);
    expect([looks(), ends]).toEqual([0, ["unresolved"]]);
  });

  it("tells of an event that another one overtook before MLflow was asked again", async () => {
    const { reads, ends } = setUp("true", undefined);
    reads.compare(KEY, { value: "true" }, undefined);
    // It has come to know of the first event, and not of the second.
    reads.compare(KEY, { value: undefined }, "true");
    expect(ends).toEqual(["caught_up"]);
    await vi.waitFor(() => {
      expect(ends).toEqual(["caught_up", "caught_up"]);
    });
  });

  it("tells once of an event that comes twice", async () => {
    const { reads, ended, ends } = setUp("true");
    reads.compare(KEY, { value: "true" }, undefined);
    reads.compare(KEY, { value: "true" }, undefined);
    await ended;
    await sleep(20);
    expect(ends).toEqual(["caught_up"]);
  });

  it("looks at each version for itself, and no more after the end", async () => {
    const { reads, looks } = setUp();
    reads.compare(KEY, { value: "true" }, undefined);
    reads.compare({ ...KEY, version: "4" }, { value: "true" }, undefined);
    reads.stop();
    await sleep(20);
    expect(looks()).toBe(0);
  });
});
