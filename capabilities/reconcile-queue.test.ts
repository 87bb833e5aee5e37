import { expect, it, onTestFinished, vi } from "vitest";
import { recordingLog } from "../test/support/unit/recording-log";
import { createMetrics } from "./observability/metrics";
import { createReconcileQueue } from "./reconcile-queue";
import { RefusedError } from "./reconciliation/errors";
import type { Acted } from "./reconciliation/reconciler";
import { createReporter } from "./status/reporting";

const KEY = { model: "iris", version: "3" };

it("forgets a failure that is over also while others change the service again and again", async () => {
  vi.useFakeTimers();
  onTestFinished(() => {
    vi.useRealTimers();
  });
  const refusal = new RefusedError("dbfs: cannot be read");
  const outcome = { action: "updated", inferenceService: "mlflow-iris-v3", namespace: "models" } as const;
  const acted: Acted = {
    outcome: { ...outcome, mlflowMilliseconds: 1, kubernetesMilliseconds: 1 },
    confirm: () => Promise.resolve(true),
  };
  const world = { isRefused: false };
  const { log, lines } = recordingLog();
  const reporter = createReporter("models", () => undefined, log);
  const queue = createReconcileQueue({
    reconciler: { act: () => (world.isRefused ? Promise.reject(refusal) : Promise.resolve(acted)) },
    publishing: { reconciling: () => 0, reconciled: () => undefined, failed: () => undefined },
    disputedIn: () => [],
    metrics: createMetrics(),
    ...{ reporter, log },
  });
  const reconcile = async (cause: "watch" | "poll"): Promise<void> => {
    const answer = queue.reconcile(KEY, { cause }).catch(() => undefined);
    await vi.advanceTimersByTimeAsync(10_000);
    await answer;
  };
  for (let correction = 0; correction < 3; correction++) await reconcile("watch");
  expect(queue.isDisputed(KEY)).toBe(true);
  world.isRefused = true;
  await reconcile("poll");
  expect(reporter.failureOf(KEY)?.message).toBe(refusal.message);
  world.isRefused = false;
  await reconcile("poll");
  expect(reporter.failureOf(KEY)).toBeUndefined();
  const told = lines.filter(({ level }) => level !== "debug").map(({ message }) => message);
  expect(told.filter(message => message === "InferenceService updated")).toHaveLength(3);
});
