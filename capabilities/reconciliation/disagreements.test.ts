import { describe, expect, it } from "vitest";
import { createDisagreements } from "./disagreements";
import type { Disagreements } from "./disagreements";

function setUp(): { readonly disagreements: Disagreements; readonly pass: (milliseconds: number) => void } {
  let time = 1_000;
  const options = { firstPause: 10, longestPause: 40, tellAfter: 3, quiet: 100 };
  return {
    disagreements: createDisagreements(options, () => time),
    pass: milliseconds => {
      time += milliseconds;
    },
  };
}

describe("disagreements", () => {
  it("make the pauses grow from one correction to the next, up to the longest", () => {
    const { disagreements, pass } = setUp();
    const pauses: number[] = [];
    for (let correction = 0; correction < 5; correction++) {
      const pause = disagreements.holdBack("a");
      pauses.push(pause);
      pass(pause);
      disagreements.corrected("a", true);
    }
    expect(pauses).toEqual([0, 10, 20, 40, 40]);
    expect(disagreements.holdBack("b")).toBe(0);
  });

  it("count the time that has passed since the last correction", () => {
    const { disagreements, pass } = setUp();
    disagreements.corrected("a", true);
    pass(4);
    expect(disagreements.holdBack("a")).toBe(6);
    pass(30);
    expect(disagreements.holdBack("a")).toBe(0);
  });

  it("are to be told once, and again only after it was quiet", () => {
    const { disagreements, pass } = setUp();
    const correct = (): boolean[] => [1, 2, 3, 4].map(() => disagreements.corrected("a", true));
    expect(correct()).toEqual([false, false, true, false]);
    expect(disagreements.isTold("a")).toBe(true);
    expect(correct()).toEqual([false, false, false, false]);
    pass(101);
    expect([disagreements.isTold("a"), disagreements.holdBack("a")]).toEqual([false, 0]);
    expect(correct()).toEqual([false, false, true, false]);
  });

  it("last while a regular look finds the difference, which makes no pause longer and begins none", () => {
    const { disagreements, pass } = setUp();
    expect(disagreements.corrected("a", false)).toBe(false);
    expect(disagreements.holdBack("a")).toBe(0);
    for (let reaction = 0; reaction < 3; reaction++) disagreements.corrected("a", true);
    for (let look = 0; look < 5; look++) {
      pass(60);
      expect(disagreements.corrected("a", false)).toBe(false);
    }
    expect([disagreements.isTold("a"), disagreements.holdBack("a")]).toEqual([true, 40]);
  });
});
