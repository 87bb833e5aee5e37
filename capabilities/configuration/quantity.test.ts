import { describe, expect, it } from "vitest";
import { parseQuantity } from "./quantity";

describe("parseQuantity", () => {
  it.each([
    ["100m", 0.1],
    ["1", 1],
    ["+0.5", 0.5],
    [".5", 0.5],
    ["2.", 2],
    ["512Mi", 512 * 2 ** 20],
    ["2Gi", 2 * 2 ** 30],
    ["1e3", 1000],
    ["1E3", 1000],
    ["1E", 1e18],
    ["3k", 3000],
    ["-1", -1],
  ])("reads %s", (text, value) => {
    expect(parseQuantity(text)).toBeCloseTo(value, 9);
  });

  it.each(["", " 1", "1 ", "1 Gi", "1gi", "1K", "one", "1.2.3", "Gi", "1e", "0x10", "NaN", "Infinity", "1mi"])(
    "refuses %j, as Kubernetes does",
    text => {
      expect(parseQuantity(text)).toBeUndefined();
    },
  );
});
