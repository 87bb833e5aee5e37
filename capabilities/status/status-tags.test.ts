import { describe, expect, it } from "vitest";
import { planStatusTags, statusTagKeys } from "./status-tags";
import type { StatusTagSituation, TagChange } from "./status-tags";

const KEYS = statusTagKeys("serving");

/** Applies a plan, so that what it leads to can be compared. */
function outcome(situation: Partial<StatusTagSituation>): { order: string[]; tags: Record<string, string> } | string {
  const actual = situation.actual ?? new Map<string, string>();
  const plan = planStatusTags({ actual, state: undefined, wroteBefore: false, mayDelete: true, ...situation }, KEYS);
  if (plan.kind === "foreign") return plan.key;
  const tags = new Map(actual);
  for (const { key, value } of plan.changes) {
    if (value === undefined) tags.delete(key);
    else tags.set(key, value);
  }
  return { order: plan.changes.map(({ key }: TagChange) => key), tags: Object.fromEntries(tags) };
}

const ready = { word: "Ready", url: "http://iris" } as const;
const failed = { word: "Failed", cause: " no model\nin s3://b " } as const;
const readyTags = new Map([
  ["serving", "Ready"],
  ["serving.url", "http://iris"],
]);

describe("planStatusTags", () => {
  it("begins with the word, and changes and takes it away last", () => {
    expect(outcome({ state: ready })).toEqual({
      order: ["serving", "serving.url"],
      tags: { serving: "Ready", "serving.url": "http://iris" },
    });
    expect(outcome({ actual: readyTags, state: failed })).toEqual({
      order: ["serving.url", "serving.cause", "serving"],
      tags: { serving: "Failed", "serving.cause": "no model in s3://b" },
    });
    expect(outcome({ actual: readyTags })).toEqual({ order: ["serving.url", "serving"], tags: {} });
    expect(outcome({ actual: readyTags, state: ready })).toMatchObject({ order: [] });
  });

  it("overwrites what it may not delete, once", () => {
    const stopped = { serving: "Stopped", "serving.url": "" };
    expect(outcome({ actual: readyTags, mayDelete: false })).toMatchObject({ tags: stopped });
    expect(outcome({ actual: new Map(Object.entries(stopped)), mayDelete: false })).toMatchObject({ order: [] });
    expect(outcome({ actual: new Map(Object.entries(stopped)) })).toMatchObject({ tags: {} });
    expect(outcome({ mayDelete: false })).toMatchObject({ order: [] });
  });

  it.each([
    ["a word of somebody else's", [["serving", "yes"]], "serving"],
    ["an address without a word", [["serving.url", "http://theirs"]], "serving.url"],
  ] as const)("leaves %s alone", (_, tags, key) => {
    expect(outcome({ actual: new Map(tags), state: ready })).toBe(key);
  });

  it("knows what is left of its own when somebody deletes the word", () => {
    const actual = new Map([["serving.url", "http://iris"]]);
    expect(outcome({ actual, state: ready, wroteBefore: true })).toMatchObject({ order: ["serving"] });
  });

  it("keeps a cause within what MLflow takes", () => {
    const planned = outcome({ state: { word: "Failed", cause: "x".repeat(9_000) } });
    expect(planned).toMatchObject({ tags: { "serving.cause": "x".repeat(5_000) } });
  });
});
