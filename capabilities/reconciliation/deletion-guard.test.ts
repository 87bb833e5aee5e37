import { describe, expect, it } from "vitest";
import { formatKey } from "../support/model-version-key";
import type { ModelVersionKey } from "../support/model-version-key";
import { createDeletionGuard } from "./deletion-guard";
import type { Release } from "./deletion-guard";

const LIMITS = { share: 0.5, count: 5, confirmations: 2 };

function keys(count: number): ModelVersionKey[] {
  return Array.from({ length: count }, (_, index) => ({ model: `model-${index}`, version: "1" }));
}

/** All of so many may go. */
function released(count: number): Release {
  return { released: keys(count), held: 0 };
}

/** Answers yes for all but those given, and fails for those given as failing. */
function answers(wanted: readonly ModelVersionKey[] = [], failing: readonly ModelVersionKey[] = []) {
  const asked: string[] = [];
  const has = (list: readonly ModelVersionKey[], key: ModelVersionKey): boolean =>
    list.some(one => formatKey(one) === formatKey(key));
  return {
    asked,
    isUnwanted: (key: ModelVersionKey): Promise<boolean> => {
      asked.push(formatKey(key));
      if (has(failing, key)) return Promise.reject(new Error("MLflow does not answer"));
      return Promise.resolve(!has(wanted, key));
    },
  };
}

describe("createDeletionGuard", () => {
  it.each([
    ["as many as are always allowed, be it all of them", 5, 5],
    ["many, but not over half of them", 50, 100],
    ["none", 0, 100],
  ])("lets %s go at once, without asking", async (_, unwanted, managed) => {
    const { asked, isUnwanted } = answers();
    expect(await createDeletionGuard(LIMITS, isUnwanted).release(keys(unwanted), managed)).toEqual(released(unwanted));
    expect(asked).toEqual([]);
  });

  it.each([
    ["over half of many", 51, 100],
    ["over five of few", 6, 11],
  ])("holds %s until further passes confirmed each", async (_, unwanted, managed) => {
    const { asked, isUnwanted } = answers();
    const guard = createDeletionGuard(LIMITS, isUnwanted);
    const held = { released: [], held: unwanted };
    expect(await guard.release(keys(unwanted), managed)).toEqual(held);
    expect(await guard.release(keys(unwanted), managed)).toEqual(held);
    expect(await guard.release(keys(unwanted), managed)).toEqual(released(unwanted));
    expect(asked).toHaveLength(3 * unwanted);
  });

  it("counts no pass in which MLflow did not answer about the version, or said that it is to be served", async () => {
    const unwanted = keys(10);
    const [failing, wanted, ...others] = unwanted as [ModelVersionKey, ModelVersionKey, ...ModelVersionKey[]];
    let current = answers();
    const guard = createDeletionGuard(LIMITS, key => current.isUnwanted(key));
    await guard.release(unwanted, 10);
    current = answers([wanted], [failing]);
    expect(await guard.release(unwanted, 10)).toEqual({ released: [], held: 9 });
    current = answers();
    expect(await guard.release(unwanted, 10)).toEqual({ released: others, held: 2 });
    await guard.release(unwanted, 10);
    expect(await guard.release(unwanted, 10)).toEqual(released(10));
  });

  it("begins anew once a pass found no mass", async () => {
    const guard = createDeletionGuard(LIMITS, answers().isUnwanted);
    await guard.release(keys(10), 10);
    await guard.release(keys(10), 10);
    await guard.release([], 10);
    expect(await guard.release(keys(10), 10)).toEqual({ released: [], held: 10 });
  });

  it("holds what joins a mass later for as many passes of its own", async () => {
    const guard = createDeletionGuard(LIMITS, answers().isUnwanted);
    await guard.release(keys(9), 10);
    await guard.release(keys(10), 10);
    expect(await guard.release(keys(10), 10)).toEqual({ released: keys(9), held: 1 });
  });

  it("is switched off by a demand for no confirmation", async () => {
    const guard = createDeletionGuard({ ...LIMITS, confirmations: 0 }, answers().isUnwanted);
    expect(await guard.release(keys(10), 10)).toEqual(released(10));
  });
});
