import { describe, expect, it } from "vitest";
import type { Pod } from "./pod";
import { NOT_STARTED, podStatus } from "./pod-status";
import type { ContainerRecord, Termination } from "./pod-status";

const POD: Pod = {
  metadata: { name: "predictor", namespace: "models", uid: "1" },
  spec: {
    initContainers: [{ name: "download", image: "initializer" }],
    containers: [{ name: "server", image: "mlserver" }],
  },
};
const PLACE = { podAddress: "10.64.1.1", nodeAddress: "10.64.0.1", startTime: 0 };
const END: Termination = { exitCode: 0, message: "", startedAt: 0, finishedAt: 1000 };
const FAILED: Termination = { ...END, exitCode: 1, message: "no such bucket" };

const record = (state: ContainerRecord["state"], more: Partial<ContainerRecord> = {}): ContainerRecord => ({
  ...NOT_STARTED,
  state,
  ...more,
});
const statusOf = (records: Record<string, ContainerRecord>, pod = POD): Record<string, unknown> =>
  podStatus(pod, new Map(Object.entries(records)), PLACE, 5000);
const conditionsOf = (status: Record<string, unknown>): Record<string, string> =>
  Object.fromEntries(
    (status.conditions as { type: string; status: string }[]).map(({ type, status: holds }) => [type, holds]),
  );

describe("The status of a pod", () => {
  it("is Pending and not initialized before anything runs", () => {
    const status = statusOf({});
    expect(status.phase).toBe("Pending");
    expect(conditionsOf(status)).toMatchObject({ PodScheduled: "True", Initialized: "False", Ready: "False" });
    expect(status.containerStatuses).toMatchObject([{ state: { waiting: { reason: "PodInitializing" } } }]);
  });

  it("says why an init container that failed is started again, in the words of its end", () => {
    const waiting = { kind: "waiting", reason: "CrashLoopBackOff", message: "back-off" } as const;
    const status = statusOf({ download: record(waiting, { lastEnd: FAILED, restarts: 1 }) });
    expect(status.phase).toBe("Pending");
    expect(status.initContainerStatuses).toMatchObject([
      {
        ready: false,
        restartCount: 1,
        state: { waiting: { reason: "CrashLoopBackOff" } },
        lastState: { terminated: { exitCode: 1, reason: "Error", message: "no such bucket" } },
      },
    ]);
  });

  it("is Running, and Ready only when the container is", () => {
    const download = record({ kind: "terminated", end: END });
    const running = { kind: "running", startedAt: 2000 } as const;
    const loading = statusOf({ download, server: record(running) });
    expect(loading.phase).toBe("Running");
    expect(conditionsOf(loading)).toMatchObject({ Initialized: "True", ContainersReady: "False", Ready: "False" });
    const serving = statusOf({ download, server: record(running, { ready: true }) });
    expect(conditionsOf(serving)).toMatchObject({ ContainersReady: "True", Ready: "True" });
  });

  it("stays Running while a crashed server waits for its next start", () => {
    const download = record({ kind: "terminated", end: END });
    const server = record({ kind: "waiting", reason: "CrashLoopBackOff" }, { lastEnd: FAILED });
    expect(statusOf({ download, server }).phase).toBe("Running");
  });

  it("keeps the time of a condition that has not changed", () => {
    const conditions = [{ type: "PodScheduled", status: "True", lastTransitionTime: "2026-01-01T00:00:00Z" }];
    const status = statusOf({}, { ...POD, status: { conditions } });
    expect(status.conditions).toMatchObject([
      { type: "PodScheduled", lastTransitionTime: "2026-01-01T00:00:00Z" },
      { type: "Initialized", lastTransitionTime: "1970-01-01T00:00:05Z" },
      {},
      {},
    ]);
  });
});
