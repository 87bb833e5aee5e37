import { expect, it } from "vitest";
import { missingPrograms } from "./prerequisites";

const PROGRAMS = [
  { anyOf: ["unshare"], package: "util-linux" },
  { anyOf: ["nsenter"], package: "util-linux" },
  { anyOf: ["chromium", "google-chrome"], package: "chromium" },
];

/** A PATH with these programs. */
const having =
  (...there: string[]) =>
  (...names: readonly string[]): string | undefined =>
    names.find(name => there.includes(name));

it("names the programs that are missing, and the line that installs them", () => {
  expect(missingPrograms(PROGRAMS, having("google-chrome"))).toBe(
    "The tests need programs that are not on the PATH (unshare, nsenter): " +
      "install them (on Debian and Ubuntu: apt install util-linux).",
  );
  expect(missingPrograms(PROGRAMS, having("unshare", "nsenter"))).toContain("(chromium): install");
  expect(missingPrograms(PROGRAMS, having("unshare", "nsenter", "chromium"))).toBeUndefined();
});
