import { describe, expect, it } from "vitest";
import { foreignText } from "./foreign-text";

describe("foreignText", () => {
  it.each([
    [
      "errors:\n  .spec.a: expected list\n  .spec.b: not declared",
      "errors: .spec.a: expected list .spec.b: not declared",
    ],
    ["no access to s3://key:secret@host/a", "no access to s3://***@host/a"],
    ['Get "https://host/a?X-Amz-Signature=abc": EOF', 'Get "https://host/a?***": EOF'],
    [
      "must match '^([+-]?[0-9.]+)$', write to me@example.com",
      "must match '^([+-]?[0-9.]+)$', write to me@example.com",
    ],
    ["x".repeat(2000), `${"x".repeat(599)}…`],
  ])("of %j is %j", (text, told) => {
    expect(foreignText(text)).toBe(told);
  });
});
