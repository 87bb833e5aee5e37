import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createWritePacing } from "./write-pacing";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** How long a turn is waited for, in milliseconds, after so many services came, one every so often. */
async function waited(services: number, every: number): Promise<number> {
  const pacing = createWritePacing(() => Date.now());
  for (let service = 0; service < services; service++) {
    await vi.advanceTimersByTimeAsync(every);
    pacing.serviceChanged();
  }
  const start = Date.now();
  let end: number | undefined;
  void pacing.turn().then(() => (end = Date.now()));
  await vi.advanceTimersByTimeAsync(5_000);
  return (end ?? Infinity) - start;
}

it("lets a few services come without waiting", async () => {
  expect(await waited(4, 1)).toBe(0);
  expect(await waited(20, 300)).toBe(0);
});

it("waits until a burst is over", async () => {
  expect(await waited(20, 100)).toBe(600);
});

it("waits for a second at the most while the burst goes on, and no longer when it is stopped", async () => {
  const pacing = createWritePacing(() => Date.now());
  const burst = setInterval(() => {
    pacing.serviceChanged();
  }, 10);
  await vi.advanceTimersByTimeAsync(1_000);
  let turns = 0;
  const goOn = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn++) {
      await pacing.turn();
      turns++;
    }
  };
  void goOn();
  await vi.advanceTimersByTimeAsync(5_500);
  expect(turns).toBe(5);
  pacing.stop();
  await vi.advanceTimersByTimeAsync(100);
  expect(turns).toBe(20);
  clearInterval(burst);
});
