import { describe, expect, it } from "vitest";
import { isSearchable, takeSearchBatch } from "./search-batch";

interface Read {
  readonly key: { readonly model: string; readonly version: string };
}

function read(model: string, version: number): Read {
  return { key: { model, version: String(version) } };
}

function many(count: number, of: (index: number) => Read): Read[] {
  return Array.from({ length: count }, (_, index) => of(index));
}

describe("takeSearchBatch", () => {
  it("takes versions whose numbers are near each other", () => {
    const waiting = many(30, index => read(`model-${index}`, (index % 3) + 4));
    const all = [...waiting];
    expect(takeSearchBatch(waiting)).toEqual({ reads: all, numbers: { first: 4, last: 6 } });
    expect(waiting).toEqual([]);
  });

  it("leaves the few that are far away for the next search, in their order", () => {
    const [near, far] = [many(20, index => read(`model-${index}`, 1)), many(5, index => read(`far-${index}`, 900))];
    const waiting = [...near.slice(0, 10), ...far, ...near.slice(10)];
    expect(takeSearchBatch(waiting)).toEqual({ reads: near, numbers: { first: 1, last: 1 } });
    expect(waiting).toEqual(far);
  });

  it("takes the versions of one model, however many, and no more than are worth it", () => {
    const versions = many(60, index => read("iris", index + 1));
    expect(takeSearchBatch([...versions])).toEqual({ reads: versions, numbers: { first: 1, last: 60 } });
    const sparse = many(10, index => read("iris", index * 1000 + 1));
    expect(takeSearchBatch([...sparse])).toEqual({ reads: sparse, numbers: undefined });
  });

  it("searches for the tag where most would be left waiting", () => {
    const waiting = many(40, index => read(`model-${index}`, index * 100 + 1));
    const all = [...waiting];
    expect(takeSearchBatch(waiting)).toEqual({ reads: all, numbers: undefined });
    expect(waiting).toEqual([]);
  });

  it("never lets a search come upon more versions than sixteen for each that it is asked for", () => {
    for (let seed = 1; seed <= 200; seed++) {
      const waiting = many(60, index => read(`model-${(index * seed) % 23}`, 1 + ((index * index * seed) % 40)));
      const { reads, numbers } = takeSearchBatch(waiting);
      if (numbers === undefined) continue;
      const models = new Set(reads.map(({ key }) => key.model)).size;
      expect(models * (numbers.last - numbers.first + 1)).toBeLessThanOrEqual(16 * reads.length);
    }
  });

  it("takes a hundred at the most", () => {
    const waiting = many(250, index => read(`model-${index}`, 1));
    expect(takeSearchBatch(waiting).reads).toHaveLength(100);
    expect(waiting).toHaveLength(150);
  });
});

it.each([
  ["1", true],
  ["999999999", true],
  ["0", false],
  ["01", false],
  ["4294967296", false],
  ["1 OR 1", false],
  ["", false],
])("a search can be asked for version %j: %s", (version, searchable) => {
  expect(isSearchable({ model: "iris", version })).toBe(searchable);
  expect(isSearchable({ model: "it's", version })).toBe(false);
});
