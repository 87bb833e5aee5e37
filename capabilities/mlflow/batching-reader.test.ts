import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { fakeMlflow } from "../../test/support/unit/fake-mlflow";
import type { FakeMlflow } from "../../test/support/unit/fake-mlflow";
import { modelVersion } from "../../test/support/unit/objects";
import { rejectionOf } from "../../test/support/unit/outcomes";
import type { ModelVersionKey } from "../model-version-key";
import { createBatchingReader } from "./batching-reader";
import type { MlflowReader, ModelVersion } from "./client";

/** More than are read at once, and so many that a search is quicker than reading each. */
const MANY = 400;

function keys(count: number): ModelVersionKey[] {
  return Array.from({ length: count }, (_, index) => ({ model: `model-${index}`, version: "1" }));
}

function tagged(key: ModelVersionKey): ModelVersion {
  return modelVersion({ ...key, tags: new Map([["deploy", "true"]]) });
}

/** An MLflow whose single reads take a while, as the real one's do, and which has these versions. */
function slowMlflow(versions: readonly ModelVersion[], replaced: Partial<MlflowReader> = {}): FakeMlflow {
  const mlflow: FakeMlflow = fakeMlflow({
    getModelVersion: async ({ model, version }) => {
      await sleep(10);
      return [...mlflow.versions.values()].find(one => one.model === model && one.version === version);
    },
    ...replaced,
  });
  for (const version of versions) mlflow.put(version);
  return mlflow;
}

const searches = ({ asked }: FakeMlflow): number => asked.filter(what => what.startsWith("search")).length;

describe("createBatchingReader", () => {
  it("reads few versions by themselves", async () => {
    const mlflow = slowMlflow(keys(8).map(tagged));
    const reader = createBatchingReader(mlflow, "deploy");
    const found = await Promise.all(keys(8).map(reader.getModelVersion));
    expect(found).toEqual(keys(8).map(tagged));
    expect([searches(mlflow), mlflow.asked.length]).toEqual([0, 8]);
  });

  it("reads many by a search, and each gets its own", async () => {
    const mlflow = slowMlflow(keys(MANY).map(tagged));
    const reader = createBatchingReader(mlflow, "deploy");
    expect(await Promise.all(keys(MANY).map(reader.getModelVersion))).toEqual(keys(MANY).map(tagged));
    expect(searches(mlflow)).toBeGreaterThan(0);
    expect(mlflow.asked.length).toBeLessThan(MANY / 2);
  });

  it("asks about each version that a search does not have: none is taken for absent", async () => {
    const all = keys(MANY);
    const untagged = modelVersion({ ...all[MANY - 1], tags: new Map() });
    const mlflow = slowMlflow([...all.slice(0, -2).map(tagged), untagged]);
    const reader = createBatchingReader(mlflow, "deploy");
    const found = await Promise.all(all.map(reader.getModelVersion));
    expect(searches(mlflow)).toBeGreaterThan(0);
    expect(found).toEqual([...all.slice(0, -2).map(tagged), undefined, untagged]);
  });

  it("answers nothing with a search that began before it was asked", async () => {
    let answer: (found: ModelVersion[]) => void = () => undefined;
    const mlflow = slowMlflow(keys(MANY).map(tagged), {
      searchTagged: () =>
        new Promise(resolve => {
          answer = resolve;
        }),
    });
    const reader = createBatchingReader(mlflow, "deploy");
    const first = Promise.all(keys(MANY).map(reader.getModelVersion));
    while (searches(mlflow) === 0) await sleep(1);
    const late = { model: "late", version: "1" };
    const asked = reader.getModelVersion(late);
    answer([...keys(MANY), late].map(tagged));
    await first;
    expect(await asked).toBeUndefined();
  });

  it("reads each by itself, with its own error, when the search fails", async () => {
    const mlflow = slowMlflow(keys(MANY).map(tagged), {
      searchTagged: () => Promise.reject(new Error("no search today")),
      getModelVersion: async key => {
        await sleep(10);
        if (key.model === "model-200") throw new Error("not this one");
        return tagged(key);
      },
    });
    const reader = createBatchingReader(mlflow, "deploy");
    const reads = keys(MANY).map(reader.getModelVersion);
    expect((await rejectionOf(reads[200] as Promise<unknown>)).message).toBe("not this one");
    const ends = await Promise.allSettled(reads);
    expect(ends.filter(({ status }) => status === "rejected")).toHaveLength(1);
  });
});
