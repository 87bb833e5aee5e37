import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createReader } from "./reading";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A reader whose readings take so many milliseconds, and are numbered from 1; every third fails. */
function setUp(takes: number): {
  readonly reader: ReturnType<typeof createReader>;
  readonly told: unknown[];
  readonly most: () => number;
} {
  let [count, atOnce, most] = [0, 0, 0];
  const told: unknown[] = [];
  const reader = createReader(
    async () => {
      const number = ++count;
      most = Math.max(most, ++atOnce);
      await new Promise(resolve => setTimeout(resolve, takes));
      atOnce--;
      if (number % 3 === 0) throw new Error(`no ${number}`);
      return number;
    },
    reading => told.push(reading),
  );
  return { reader, told, most: () => most };
}

it("is read once for each time that it is asked for, with a pause between", async () => {
  const { reader, told } = setUp(100);
  reader.ask();
  await vi.advanceTimersByTimeAsync(100);
  expect(told).toEqual([{ value: 1, problem: undefined }]);
  reader.ask();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(told).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(100);
  expect(told).toEqual([expect.anything(), { value: 2, problem: undefined }]);
  reader.ask();
  await vi.advanceTimersByTimeAsync(1_100);
  expect(told.at(-1)).toEqual({ problem: "no 3" });
});

it("comes to an end also while it is asked for all the time, one after the other", async () => {
  const { reader, told, most } = setUp(500);
  const asking = setInterval(() => {
    reader.ask();
  }, 100);
  await vi.advanceTimersByTimeAsync(10_000);
  clearInterval(asking);
  expect(told.length).toBeGreaterThan(4);
  expect(most()).toBe(1);
});

it("tells nothing any more when it is stopped", async () => {
  const { reader, told } = setUp(100);
  reader.ask();
  await vi.advanceTimersByTimeAsync(50);
  reader.stop();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(told).toEqual([]);
});
