import { describe, expect, it } from "vitest";
import { MANAGEMENT_ANNOTATION, managementOf } from "./management";

describe("managementOf", () => {
  it.each([
    ["paused", "paused"],
    ["released", "released"],
    ["", "managed"],
    // Whoever wrote these wanted hands off, and only that is certain.
    ["managed", "paused"],
    ["Released", "paused"],
    ["pausd", "paused"],
    [" ", "paused"],
  ])("reads %j as %s", (value, expected) => {
    expect(managementOf({ annotations: { [MANAGEMENT_ANNOTATION]: value } })).toBe(expected);
  });

  it("is managed where nobody said anything", () => {
    expect(managementOf({})).toBe("managed");
    expect(managementOf({ annotations: { other: "paused" } })).toBe("managed");
  });
});
