import { describe, expect, it } from "vitest";
import { hashOf, placeOf } from "./place";
import type { Place } from "./place";

describe("the hash of the page's address", () => {
  const places: readonly Place[] = [
    { view: "versions", filter: { search: "", states: [], namespace: "" } },
    { view: "versions", filter: { search: "a&b=c #?ü", states: ["Failed", "Ready"], namespace: "team-a" } },
    { view: "version", key: { model: "My model? #1 & <more>", version: "3" } },
    { view: "module" },
    { view: "changes" },
  ];

  it.each(places)("stands for what is shown: %o", place => {
    expect(placeOf(hashOf(place))).toEqual(place);
  });

  it.each(["", "#", "#/nothing", "#/version?model=only", "#/?state=Broken,<b>", "#%"])(
    "stands for all versions when it is %s",
    hash => {
      expect(placeOf(hash)).toEqual(places[0]);
    },
  );
});
