import { describe, expect, it } from "vitest";
import { deferred } from "../../../test/support/unit/outcomes";
import { createRefusalPacing } from "./refusal-pacing";

/** Answers refusals until something else is done, and says how many. */
async function countTurns(turn: () => Promise<void>, until: Promise<unknown>): Promise<number> {
  let count = 0;
  let isOver = false;
  void until.then(() => (isOver = true));
  const client = async (): Promise<void> => {
    for (;;) {
      await turn();
      // Not in the same turn of the event loop, so that timers come to their right.
      await new Promise(resolve => setImmediate(resolve));
      if (isOver) return;
      count++;
    }
  };
  await Promise.all(Array.from({ length: 8 }, client));
  return count;
}

const after = (milliseconds: number): Promise<void> => new Promise(resolve => setTimeout(resolve, milliseconds));

describe("createRefusalPacing", () => {
  it("holds a flood back while deliveries are worked on, whoever sends it, and no longer", async () => {
    const { turn, during } = createRefusalPacing({ perSecond: 50, lingers: 10 });
    const work = deferred<string>();
    const working = during(work.promise);
    const start = performance.now();
    const beside = await countTurns(turn, after(200));
    // By the clock, not by what 200 ms should allow: a busy machine may make them longer.
    expect(beside).toBeLessThanOrEqual(((performance.now() - start) / 1000) * 50 + 1);
    expect(beside).toBeGreaterThan(0);

    work.resolve("done");
    expect(await working).toBe("done");
    await after(30);
    expect(await countTurns(turn, after(50))).toBeGreaterThan(beside);
  });

  it("lets nobody wait for more than a second, however many there are", async () => {
    const { turn, during } = createRefusalPacing({ perSecond: 1, lingers: 10 });
    const work = deferred<undefined>();
    const working = during(work.promise);
    await turn();
    // The second is due in a second; the others would wait for minutes.
    const due = turn();
    await Promise.all(Array.from({ length: 100 }, turn));
    work.resolve(undefined);
    await Promise.all([working, due]);
  });

  it("ends with the work, also when that fails", async () => {
    const { turn, during } = createRefusalPacing({ perSecond: 0.001, lingers: 0 });
    await expect(during(Promise.reject(new Error("no answer")))).rejects.toThrow("no answer");
    await after(5);
    await turn();
    await turn();
  });
});
