import { describe, expect, it } from "vitest";
import { keyIsShownOnOneLine } from "../../test/fuzz/properties/names";
import { formatKey } from "./model-version-key";

describe("formatKey", () => {
  it("shows the name in quotes and the version as a number", () => {
    expect(formatKey({ model: "iris", version: "3" })).toBe('"iris" version 3');
  });

  it.each([
    ["a line break", "a\nb", '"a\\nb" version 1'],
    ["a quote", 'a" version 2', '"a\\" version 2" version 1'],
    ["a right-to-left override", "a\u202eb", '"a\\u202eb" version 1'],
    ["a line separator", "a\u2028b", '"a\\u2028b" version 1'],
    ["a lone surrogate", "a\ud800", '"a\\ud800" version 1'],
    ["a format character outside the basic plane", "a\u{e0001}", '"a\\udb40\\udc01" version 1'],
    ["a terminal escape", "\u001b[31m", '"\\u001b[31m" version 1'],
  ])("escapes %s", (_, model, shown) => {
    expect(formatKey({ model, version: "1" })).toBe(shown);
  });

  it("quotes a version that is no number", () => {
    expect(formatKey({ model: "iris", version: "3\n" })).toBe('"iris" version "3\\n"');
  });

  it(keyIsShownOnOneLine.name, () => keyIsShownOnOneLine.assert({ numRuns: 100 }));
});
