import { describe, expect, it } from "vitest";
import { barsOf, linesOf, peakOf, valueAt } from "./chart-shapes";

// JSON makes null of what is no number.
const gap = JSON.parse("null") as number;
const series = [
  { name: "success", values: [1, 0, 3] },
  { name: "error", values: [1] },
];

describe("a chart", () => {
  it("has the newest minute of all series at its end", () => {
    expect([0, 1, 2].map(index => series.map(one => valueAt(one, index, 3)))).toEqual([
      [1, undefined],
      [0, undefined],
      [3, 1],
    ]);
  });

  it("stacks bars up to its full height", () => {
    expect(peakOf(series, "bars")).toBe(4);
    expect(barsOf(series)).toEqual(["M20 100h160v-25h-160zM420 100h160v-75h-160z", "M420 25h160v-25h-160z"]);
  });

  it("breaks a line where there is no value", () => {
    const [line] = linesOf([{ name: "median", values: [2, gap, 1, 1] }]);
    expect(line).toBe("M30 0L75 0M330 50L375 50L525 50");
  });

  it.each([[[]], [[{ name: "none", values: [] }]], [[{ name: "zero", values: [0, 0] }]]])(
    "of nothing is drawn",
    none => {
      expect(peakOf(none, "bars")).toBe(0);
      expect(barsOf(none).join("") + linesOf(none).join("")).not.toMatch(/NaN|Infinity/);
    },
  );
});
