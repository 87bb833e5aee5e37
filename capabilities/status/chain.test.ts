import { describe, expect, it } from "vitest";
import { liveService } from "../../test/support/unit/objects";
import type { PredictorPod } from "../kserve/predictor-pods";
import { chainOf } from "./chain";

const at = (second: number): string => `2026-01-02T03:04:${String(second).padStart(2, "0")}Z`;
const pod = (status: Partial<PredictorPod["status"]>): PredictorPod => ({
  metadata: { name: "p", creationTimestamp: at(6) },
  status: { conditions: [], initContainerStatuses: [], containerStatuses: [], ...status },
});
const DOWNLOADED = {
  name: "storage-initializer",
  state: { terminated: { finishedAt: at(8), exitCode: 0, reason: "" } },
};

describe("chainOf", () => {
  it("has a time for each step that was come to", () => {
    const live = liveService(undefined, {
      status: { conditions: [{ type: "Ready", status: "True", lastTransitionTime: at(12) }] },
    });
    const running = { name: "kserve-container", state: { running: { startedAt: at(9) } } };
    const facts = pod({ initContainerStatuses: [DOWNLOADED], containerStatuses: [running] });
    const chain = chainOf({ deliveredAt: Date.parse(at(4)), live, pod: facts });
    expect(chain.map(({ step, at: time }) => [step, time])).toEqual(
      [
        ...[["delivery", 4] as const, ["apply", 5] as const, ["pod", 6] as const],
        ...[["download", 8] as const, ["load", 9] as const, ["ready", 12] as const],
      ].map(([step, second]) => [step, Date.parse(at(second))]),
    );
  });

  it.each([
    [
      "download",
      {
        conditions: [],
        modelStatus: { transitionStatus: "BlockedByFailedLoad", lastFailureInfo: { message: "no model" } },
      },
      pod({}),
      ": no model",
    ],
    [
      "load",
      { conditions: [] },
      pod({
        initContainerStatuses: [DOWNLOADED],
        containerStatuses: [
          { name: "kserve-container", state: { waiting: { reason: "CrashLoopBackOff", message: "" } } },
        ],
      }),
      "its model server ends again and again",
    ],
    [
      "pod",
      { conditions: [] },
      pod({ conditions: [{ type: "PodScheduled", status: "False", message: "0/3 nodes have room" }] }),
      "0/3 nodes have room",
    ],
  ])("shows what went wrong with the %s there", (step, status, facts, problem) => {
    const chain = chainOf({ deliveredAt: undefined, live: liveService(undefined, { status }), pod: facts });
    expect(chain.filter(one => one.problem !== undefined)).toMatchObject([{ step, problem }]);
  });

  it("is empty of times before anything was made", () => {
    const chain = chainOf({ deliveredAt: undefined, live: undefined, pod: undefined });
    expect(chain).toEqual(["apply", "pod", "download", "load", "ready"].map(step => ({ step })));
  });
});
