import { describe, expect, test } from "vitest";
import { formatVersion, isAtLeast, parseVersion } from "./versions";

describe("versions", () => {
  test.each([
    ["go version go1.26.8 linux/amd64", [1, 26, 8]],
    ["go1.27rc1", [1, 27, 0]],
    ["Python 3.11.7", [3, 11, 7]],
    ["3.13.0 (main, Nov 1 2025)", [3, 13, 0]],
    ["devel", undefined],
  ])("%s", (text, version) => {
    expect(parseVersion(text)).toEqual(version);
  });

  test("are compared by numbers, the first that differs decides", () => {
    expect(isAtLeast([3, 10, 0], [3, 9, 9])).toBe(true);
    expect(isAtLeast([3, 10, 0], [3, 10, 0])).toBe(true);
    expect(isAtLeast([3, 9, 18], [3, 10, 0])).toBe(false);
    expect(isAtLeast([2, 99, 0], [3, 0, 0])).toBe(false);
  });

  test("are written without a patch number of 0", () => {
    expect(formatVersion([1, 26, 0])).toBe("1.26");
    expect(formatVersion([1, 25, 8])).toBe("1.25.8");
  });
});
