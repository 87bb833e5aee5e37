import { describe, expect, it } from "vitest";
import type { Failure } from "../reconciliation/failures";
import { createFailureMemory, withoutVolatileParts } from "./failure-memory";

function failure(message: string, more: Partial<Failure> = {}): Failure {
  return { kind: "passing", owner: "kubernetes", answer: 500, status: "kubernetes_error", message, ...more };
}

describe("withoutVolatileParts", () => {
  const same: [string, string][] = [
    [
      "Precondition failed: UID: 5f6f1de0-0b9c-4d6c-9d3e-1a2b3c4d5e6f",
      "Precondition failed: UID: 00000000-0000-4000-8000-000000000000",
    ],
    ["at 2026-01-02T03:04:05.678Z", "at 2027-11-12T13:14:15Z"],
    ["Rejected at 03:04:05", "Rejected at 13:14:15"],
    ["no answer within 15.003 s (1200 ms)", "no answer within 14 s (7ms)"],
    ["read tcp 10.0.0.1:5123->[::1]:6443: reset", "read tcp 10.0.0.1:5124->[::1]:6444: reset"],
    ["panic at 0xc0001", "panic at 0xffe2"],
    ['resourceVersion: "17"', 'resourceVersion: "18"'],
    [
      "exceeded quota: q, used: count/x=2, limited: count/x=1",
      "exceeded quota: q, used: count/x=3, limited: count/x=1",
    ],
  ];
  it.each(same)("%j is %j", (one, other) => {
    expect(one).not.toBe(other);
    expect(withoutVolatileParts(one)).toBe(withoutVolatileParts(other));
  });

  it.each([
    ["minReplicas: Invalid value: 5", "minReplicas: Invalid value: 6"],
    ["limited: count/x=1", "limited: count/x=2"],
    ["s3://bucket-1/a cannot be read", "s3://bucket-2/a cannot be read"],
  ])("%j is not %j", (one, other) => {
    expect(withoutVolatileParts(one)).not.toBe(withoutVolatileParts(other));
  });
});

describe("createFailureMemory", () => {
  it("knows what was told, whatever differs each time, and tells a changed cause or kind anew", () => {
    const memory = createFailureMemory();
    const tell = (told: Failure): boolean => memory.failed("iris", told).isNew;
    expect([tell(failure("took 1 s")), tell(failure("took 2 s")), tell(failure("no disk"))]).toEqual([
      true,
      false,
      true,
    ]);
    expect([tell(failure("no disk", { kind: "waiting" })), tell(failure("no disk"))]).toEqual([true, true]);
    memory.failed("iris", failure("took 1 s"));
    // As it was told first, so that an Event is the same text too.
    expect(memory.failed("iris", failure("took 3 s")).failure.message).toBe("took 1 s");
  });

  it("ends with a success, and with a poll that found nothing open, but not before the next when it is new", () => {
    const memory = createFailureMemory();
    for (const id of ["mended", "untagged", "refused"]) memory.failed(id, failure("x"));
    expect(memory.succeeded("mended")?.message).toBe("x");
    expect(memory.succeeded("mended")).toBeUndefined();
    expect(memory.pollEnded(new Set(["refused"]))).toEqual([]);
    memory.failed("refused", failure("x"));
    memory.failed("by a delivery during the poll", failure("x"));
    expect(memory.pollEnded(new Set(["refused"]))).toEqual(["untagged"]);
    expect(memory.failed("untagged", failure("x")).isNew).toBe(true);
  });

  it("counts by group", () => {
    const memory = createFailureMemory();
    const failures = [
      failure("a", { kind: "permanent", status: "refused" }),
      failure("a", { kind: "permanent", status: "mlflow_error" }),
      failure("a", { kind: "permanent", status: "rejected" }),
      failure("a", { kind: "permanent", status: "conflict" }),
      failure("a", { kind: "waiting" }),
      failure("a"),
    ];
    failures.forEach((one, at) => memory.failed(String(at), one));
    expect(Object.fromEntries(memory.counts())).toEqual({
      ...{ refused: 2, rejected: 1, "name taken": 1, waiting: 1, "tried again": 1 },
    });
  });

  it("forgets the oldest rather than grow for ever", () => {
    const memory = createFailureMemory(2);
    for (const id of ["a", "b", "c"]) memory.failed(id, failure("x"));
    expect(["c", "b"].map(id => memory.failed(id, failure("x")).isNew)).toEqual([false, false]);
    expect(memory.failed("a", failure("x")).isNew).toBe(true);
  });
});
