import { describe, expect, it } from "vitest";
import { inParallel } from "./in-parallel";

describe("inParallel", () => {
  it("keeps the order and never works on more than the limit", async () => {
    let atWork = 0;
    let most = 0;
    const results = await inParallel([5, 4, 3, 2, 1, 0], 2, async item => {
      most = Math.max(most, ++atWork);
      for (let turn = 0; turn < item; turn++) await Promise.resolve();
      atWork--;
      return item * 10;
    });
    expect(results).toEqual([50, 40, 30, 20, 10, 0]);
    expect(most).toBe(2);
  });

  it("rejects with the error of an item, after the others that were begun", async () => {
    const done: number[] = [];
    const working = inParallel([1, 2, 3], 2, async item => {
      await Promise.resolve();
      if (item === 1) throw new Error("one");
      done.push(item);
    });
    await expect(working).rejects.toThrow("one");
    expect(done).toEqual([2, 3]);
  });

  it("does nothing for nothing", async () => {
    await expect(inParallel([], 8, () => Promise.reject(new Error("never")))).resolves.toEqual([]);
  });
});
