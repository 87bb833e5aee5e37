import { describe, expect, it } from "vitest";
import { ageText, durationText, linkable, visible } from "./text";

describe("a text of somebody else's", () => {
  it("shows what cannot be seen, and is left alone otherwise", () => {
    expect(visible("Größe <b>é 模型")).toBe("Größe <b>é 模型");
    expect(visible("a\u202Eb\u200Bc\nd\u{E0041}")).toBe("a\\u202eb\\u200bc\\u000ad\\u{e0041}");
  });

  it.each([
    ["http://iris.example.com/v2", true],
    ["HTTPS://iris.example.com", true],
    ["javascript:alert(1)", false],
    [" javascript:alert(1)", false],
    ["java\nscript:alert(1)//http://x", false],
    ["data:text/html,<script>alert(1)</script>", false],
    ["//example.com", false],
    ["s3://bucket/key", false],
    ["http://", false],
    ["http://[", false],
    [undefined, false],
  ])("is a link only where it is an address of the web: %s", (address, expected) => {
    expect(linkable(address)).toBe(expected ? address : undefined);
  });
});

describe("a duration", () => {
  it.each([
    [0, "0 ms"],
    [350.4, "350 ms"],
    [4_260, "4.2 s"],
    [42_900, "42 s"],
    [185_000, "3 min 5 s"],
    [7_200_000, "2 h"],
    [442_800_000, "5 d 3 h"],
  ])("of %i ms is %s", (milliseconds, expected) => {
    expect(durationText(milliseconds)).toBe(expected);
  });

  it.each([
    [-5_000, "now"],
    [5_200, "5 s"],
    [185_000, "3 min"],
    [442_800_000, "5 d"],
  ])("that was %i ms ago is told roughly: %s", (milliseconds, expected) => {
    expect(ageText(milliseconds)).toBe(expected);
  });
});
