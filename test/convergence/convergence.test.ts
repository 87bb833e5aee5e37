import { randomInt } from "node:crypto";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { startMlflow } from "../testbed";
import { openLane } from "./lane";
import type { Lane } from "./lane";
import { explain } from "./report";
import { converged, runSeed } from "./run-seed";

/** The same each time, and one that nobody has tried yet. */
const SEEDS = [1, 2, 3, randomInt(1000, 0x7fffffff)];

let lane: Lane;

beforeAll(async () => {
  // An MLflow of its own: this one is frozen now and then, and all that is in it is looked at. The cluster is shared
  // with other tests, so its parts stay untouched.
  const options = { python: inject("python"), logDirectory: inject("logDirectory") };
  const [mlflow, empty] = await Promise.all([
    startMlflow({ ...options, workers: 2 }),
    startMlflow({ ...options, workers: 1 }),
  ]);
  lane = await openLane({
    kubeconfig: inject("kubeconfig"),
    kubectl: inject("kubectl"),
    logDirectory: inject("logDirectory"),
    mlflowTrackingUri: mlflow.trackingUri,
    emptyTrackingUri: empty.trackingUri,
    parts: { mlflow: mlflow.part },
    stop: async () => {
      await Promise.all([mlflow.part.stop(), empty.part.stop()]);
    },
  });
}, 180_000);

afterAll(async () => {
  await lane.stop();
});

describe("three copies of the module, with faults, races and other people's changes", () => {
  it.each(SEEDS)(
    "end where MLflow says, seed %i",
    async seed => {
      const played = await runSeed(lane, seed);
      expect(converged(played), explain(played, `npm run convergence -- --seed ${seed}`)).toBe(true);
      // A run in which nothing could go wrong would show nothing.
      expect(played.journal.filter(({ outcome }) => outcome === "done").length).toBeGreaterThan(20);
    },
    180_000,
  );
});
