import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { fakeMlflow } from "../../test/support/unit/fake-mlflow";
import { modelVersion } from "../../test/support/unit/objects";
import { rejectionOf } from "../../test/support/unit/outcomes";
import type { ModelVersionKey } from "../support/model-version-key";
import { createBatchingReader } from "./batching-reader";
import type { MlflowReader, ModelSearch, ModelVersion } from "./client";
import { MlflowError } from "./errors";

/** More than are read at once. */
const MANY = 400;

function keys(count: number): ModelVersionKey[] {
  return Array.from({ length: count }, (_, index) => ({ model: `model-${index}`, version: "1" }));
}

function tagged(key: ModelVersionKey): ModelVersion {
  return modelVersion({ ...key, tags: new Map([["deploy", "true"]]) });
}

function untagged(key: ModelVersionKey): ModelVersion {
  return modelVersion({ ...key, tags: new Map() });
}

interface SlowMlflow {
  readonly reader: MlflowReader & ModelSearch;
  /** What was asked: single versions, and the models of each search. */
  readonly read: string[];
  readonly searched: (readonly string[])[];
  /** Reads of single versions under way at the same time, at the most. */
  readonly mostReads: () => number;
}

/** An MLflow whose answers take a while, as the real one's do, and which has these versions. */
function slowMlflow(
  versions: readonly ModelVersion[],
  { getModelVersion, findNumbered }: Partial<MlflowReader & ModelSearch> = {},
): SlowMlflow {
  const mlflow = fakeMlflow();
  for (const version of versions) mlflow.put(version);
  const read: string[] = [];
  const searched: (readonly string[])[] = [];
  let [reads, mostReads] = [0, 0];
  const reader: MlflowReader & ModelSearch = {
    ...mlflow,
    async getModelVersion(key) {
      read.push(key.model);
      mostReads = Math.max(mostReads, ++reads);
      await sleep(5);
      reads--;
      return await (getModelVersion ?? mlflow.getModelVersion)(key);
    },
    async findTagged(models, tagKey) {
      searched.push(models);
      await sleep(5);
      return (await mlflow.searchTagged(tagKey)).filter(({ model }) => models.includes(model));
    },
    async findNumbered(models, numbers) {
      searched.push(models);
      await sleep(5);
      if (findNumbered !== undefined) return await findNumbered(models, numbers);
      const isAsked = ({ model, version }: ModelVersion): boolean =>
        models.includes(model) && Number(version) >= numbers.first && Number(version) <= numbers.last;
      return [...mlflow.versions.values()].filter(isAsked);
    },
  };
  return { reader, read, searched, mostReads: () => mostReads };
}

describe("createBatchingReader", () => {
  it("reads few versions by themselves", async () => {
    const { reader, searched, read } = slowMlflow(keys(3).map(tagged));
    const batching = createBatchingReader(reader, "deploy");
    const found = await Promise.all(keys(3).map(batching.getModelVersion));
    expect(found).toEqual(keys(3).map(tagged));
    expect([searched.length, read.length]).toEqual([0, 3]);
  });

  it("reads many by searches for their models, and each gets its own", async () => {
    const { reader, searched, read } = slowMlflow(keys(MANY).map(tagged));
    const batching = createBatchingReader(reader, "deploy");
    expect(await Promise.all(keys(MANY).map(batching.getModelVersion))).toEqual(keys(MANY).map(tagged));
    expect(searched.length).toBeGreaterThan(0);
    expect(read.length + searched.length).toBeLessThan(MANY / 20);
  });

  it("names a model once, of however many versions", async () => {
    const versions = Array.from({ length: 50 }, (_, index) => ({ model: "iris", version: String(index + 1) }));
    const { reader, searched } = slowMlflow(versions.map(tagged));
    const batching = createBatchingReader(reader, "deploy");
    expect(await Promise.all(versions.map(batching.getModelVersion))).toEqual(versions.map(tagged));
    for (const models of searched) expect(models).toEqual(["iris"]);
  });

  it("asks for no more names at once than an address may hold", async () => {
    const long = Array.from({ length: 60 }, (_, index) => ({ model: `${"ä".repeat(200)}${index}`, version: "1" }));
    const { reader, searched } = slowMlflow(long.map(tagged));
    const batching = createBatchingReader(reader, "deploy");
    expect(await Promise.all(long.map(batching.getModelVersion))).toEqual(long.map(tagged));
    for (const models of searched) expect(encodeURIComponent(models.join("','")).length).toBeLessThan(6000);
  });

  it("reads versions without the tag by the same searches", async () => {
    const versions = keys(MANY).map((key, index) => (index % 50 === 0 ? tagged(key) : untagged(key)));
    const { reader, read, searched } = slowMlflow(versions);
    const batching = createBatchingReader(reader, "deploy");
    expect(await Promise.all(versions.map(batching.getModelVersion))).toEqual(versions);
    expect(read.length + searched.length).toBeLessThan(MANY / 20);
  });

  it("searches for those with the tag where the numbers are far apart", async () => {
    const versions = keys(MANY).map(({ model }, index) => tagged({ model, version: String(1 + index * 100) }));
    const { reader, read, searched } = slowMlflow(versions);
    const batching = createBatchingReader(reader, "deploy");
    expect(await Promise.all(versions.map(batching.getModelVersion))).toEqual(versions);
    expect(read.length + searched.length).toBeLessThan(MANY / 20);
  });

  it("asks about each version that a search does not have: none is taken for absent", async () => {
    const all = keys(MANY);
    const [late, ...others] = [...all].reverse();
    const { reader, read, searched, mostReads } = slowMlflow(others.map(tagged), {
      getModelVersion: key => Promise.resolve(key.model === late?.model ? undefined : tagged(key)),
    });
    const batching = createBatchingReader(reader, "deploy");
    const found = await Promise.all(all.map(batching.getModelVersion));
    expect(searched.length).toBeGreaterThan(0);
    expect(found).toEqual([...all.slice(0, -1).map(tagged), undefined]);
    expect(read).toContain(late?.model);
    expect(mostReads()).toBeLessThanOrEqual(8);
  });

  it("takes no version for untagged that a search shows without tags, while no search shows any", async () => {
    const leaveTagsOut = (models: readonly string[]): Promise<ModelVersion[]> =>
      Promise.resolve(models.map(model => untagged({ model, version: "1" })));
    const { reader, read, searched } = slowMlflow(keys(MANY).map(tagged), { findNumbered: leaveTagsOut });
    const batching = createBatchingReader(reader, "deploy");
    expect(await Promise.all(keys(MANY).map(batching.getModelVersion))).toEqual(keys(MANY).map(tagged));
    expect(searched.length).toBeGreaterThan(0);
    expect(read).toHaveLength(MANY);
  });

  it("knows from a search for all tagged versions that searches show tags", async () => {
    const versions = [tagged({ model: "iris", version: "1" }), ...keys(MANY).map(untagged)];
    const { reader, read, searched } = slowMlflow(versions);
    const batching = createBatchingReader(reader, "deploy");
    expect(await batching.searchTagged("deploy")).toEqual(versions.slice(0, 1));
    expect(await Promise.all(keys(MANY).map(batching.getModelVersion))).toEqual(versions.slice(1));
    expect(read.length + searched.length).toBeLessThan(MANY / 20);
  });

  it("answers nothing with a search that began before it was asked", async () => {
    const late = tagged({ model: "late", version: "1" });
    const answers: (() => void)[] = [];
    const { reader, searched } = slowMlflow(keys(MANY).map(tagged), {
      findNumbered: models =>
        new Promise(resolve => {
          answers.push(() => {
            resolve([
              ...keys(MANY)
                .map(tagged)
                .filter(({ model }) => models.includes(model)),
              late,
            ]);
          });
        }),
    });
    const batching = createBatchingReader(reader, "deploy");
    const first = Promise.all(keys(10).map(batching.getModelVersion));
    while (answers.length < 1) await sleep(1);
    const second = Promise.all(keys(20).slice(10).map(batching.getModelVersion));
    while (answers.length < 2) await sleep(1);
    const asked = batching.getModelVersion(late);
    for (const answer of answers) answer();
    await Promise.all([first, second]);
    expect(await asked).toBeUndefined();
    expect(searched.flat()).not.toContain("late");
  });

  it("searches for no name that has to be quoted", async () => {
    const odd = ["it's", 'a "b"', "a\\b", "100%", "a,b", "x`y", "(a)", "a\nb", "-- ;"].map(model => ({
      model,
      version: "1",
    }));
    const plain = keys(40);
    const { reader, searched, read } = slowMlflow([...odd, ...plain].map(tagged));
    const batching = createBatchingReader(reader, "deploy");
    const all = [...odd, ...plain];
    expect(await Promise.all(all.map(batching.getModelVersion))).toEqual(all.map(tagged));
    expect(read).toEqual(expect.arrayContaining(odd.map(({ model }) => model)));
    expect(searched.flat().filter(model => !model.startsWith("model-"))).toEqual([]);
  });

  it("reads each by itself, with its own error, when the search fails", async () => {
    const { reader, searched, read } = slowMlflow(keys(MANY).map(tagged), {
      findNumbered: () => Promise.reject(new Error("no search today")),
      getModelVersion: key =>
        key.model === "model-200" ? Promise.reject(new Error("not this one")) : Promise.resolve(tagged(key)),
    });
    const batching = createBatchingReader(reader, "deploy");
    const reads = keys(MANY).map(batching.getModelVersion);
    expect((await rejectionOf(reads[200] as Promise<unknown>)).message).toBe("not this one");
    const ends = await Promise.allSettled(reads);
    expect(ends.filter(({ status }) => status === "rejected")).toHaveLength(1);
    expect(read).toHaveLength(MANY);
    expect(searched.length).toBeGreaterThan(2);
  });

  it("searches no more when MLflow cannot search for names", async () => {
    const { reader, searched, read, mostReads } = slowMlflow(keys(MANY).map(tagged), {
      findNumbered: () => Promise.reject(new MlflowError("refused", "Invalid comparator", "INVALID_PARAMETER_VALUE")),
    });
    const batching = createBatchingReader(reader, "deploy");
    expect(await Promise.all(keys(MANY).map(batching.getModelVersion))).toEqual(keys(MANY).map(tagged));
    expect(searched.length).toBeLessThanOrEqual(2);
    expect(read).toHaveLength(MANY);
    expect(mostReads()).toBe(8);
  });
});
