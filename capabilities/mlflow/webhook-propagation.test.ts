import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createPropagation } from "./webhook-propagation";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance", "Date"], now: 1_000_000 });
});

afterEach(() => {
  vi.useRealTimers();
});

it("lasts as long as MLflow's processes keep their list, from our change on", () => {
  const propagation = createPropagation(60_000);
  expect([propagation.left(), propagation.isUnsettled()]).toEqual([0, false]);
  propagation.changed();
  vi.advanceTimersByTime(20_000);
  expect(propagation.left()).toBe(40_000);
  propagation.seen(999_000); // our own change, by MLflow's clock
  expect(propagation.left()).toBe(40_000);
  vi.advanceTimersByTime(40_000);
  expect([propagation.left(), propagation.isUnsettled()]).toEqual([0, true]);
  propagation.settled();
  expect(propagation.isUnsettled()).toBe(false);
});

it("counts a change of another replica from when MLflow had it, and once", () => {
  const propagation = createPropagation(60_000);
  propagation.seen(990_000);
  expect(propagation.left()).toBe(50_000);
  vi.advanceTimersByTime(50_000);
  propagation.seen(990_000);
  expect(propagation.left()).toBe(0);
});

it("is over for what was changed long ago, and never longer than the lifetime with a clock that is ahead", () => {
  const propagation = createPropagation(60_000);
  propagation.seen(900_000);
  expect(propagation.isUnsettled()).toBe(false);
  propagation.seen(2_000_000);
  expect(propagation.left()).toBe(60_000);
});
