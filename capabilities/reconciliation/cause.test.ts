import { expect, it } from "vitest";
import { strongerCause } from "./cause";

it.each([
  ["watch", "poll", "poll"],
  ["poll", "delivery", "delivery"],
  ["watch", "delivery", "delivery"],
  ["watch", "watch", "watch"],
] as const)("of %s and %s, %s is the stronger cause", (one, other, stronger) => {
  expect([strongerCause(one, other), strongerCause(other, one)]).toEqual([stronger, stronger]);
});
