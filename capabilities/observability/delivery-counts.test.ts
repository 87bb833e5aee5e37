import { describe, expect, it } from "vitest";
import { countedBetween, medianSeconds, NO_DELIVERIES, readDeliveryMetrics, sumOf } from "./delivery-counts";
import type { DeliveryCounts } from "./delivery-counts";
import { createMetrics } from "./metrics";

/** Of one who answered so many with success, in so many seconds each. */
function counts(success: number, durations: Readonly<Record<string, number>> = {}): DeliveryCounts {
  return { results: new Map([["success", success]]), durations: new Map(Object.entries(durations)) };
}

describe("readDeliveryMetrics", () => {
  it("reads what the module's own metrics say", async () => {
    const metrics = createMetrics();
    metrics.setMode("fallback");
    for (const result of ["success", "success", "refused"] as const) metrics.deliveryAnswered(result);
    for (const seconds of [0.02, 0.2, 40]) metrics.processed(seconds);
    const { mode, startedAt, counts: read } = readDeliveryMetrics(await metrics.render());
    expect(startedAt).toBeCloseTo(Date.now() / 1000 - process.uptime(), 0);
    expect(mode).toBe("fallback");
    expect(Object.fromEntries(read.results)).toEqual({ success: 2, ignored: 0, refused: 1, rejected: 0, error: 0 });
    expect([...read.durations]).toEqual(
      expect.arrayContaining([
        ["0.01", 0],
        ["0.025", 1],
        ["0.25", 2],
        ["30", 2],
        ["+Inf", 3],
      ]),
    );
  });

  it.each(["", "<html>", "listener_mode 1", 'listener_mode{mode="other"} 1', 'listener_mode{mode="webhook"} 0'])(
    "knows no mode from %j",
    text => {
      expect(readDeliveryMetrics(text)).toEqual({ mode: undefined, startedAt: undefined, counts: NO_DELIVERIES });
    },
  );
});

describe("countedBetween", () => {
  it("is the difference", () => {
    expect(countedBetween(counts(3, { "0.1": 2 }), counts(5, { "0.1": 2, "+Inf": 1 }))).toEqual(
      counts(2, { "0.1": 0, "+Inf": 1 }),
    );
  });

  it.each([
    [counts(3, { "0.1": 3 }), counts(2, { "0.1": 2 })],
    [counts(3, { "0.1": 3 }), counts(4, { "0.1": 1 })],
    [counts(3), NO_DELIVERIES],
  ])("is all since the start of one that restarted", (before, now) => {
    expect(countedBetween(before, now)).toEqual(now);
  });
});

it("sums what several have counted", () => {
  expect(sumOf(counts(1, { "0.1": 1 }), counts(2, { "1": 4 }))).toEqual(counts(3, { "0.1": 1, "1": 4 }));
  expect(sumOf(NO_DELIVERIES, counts(2))).toEqual(counts(2));
});

describe("medianSeconds", () => {
  it.each<[string, Readonly<Record<string, number>>, number]>([
    ["one", { "0.1": 0, "0.2": 1, "+Inf": 1 }, 0.15],
    ["a first bucket", { "0.1": 4, "0.2": 4, "+Inf": 4 }, 0.05],
    ["buckets in another order", { "+Inf": 4, "0.5": 4, "0.1": 1 }, 0.1 + 0.4 / 3],
    ["times beyond the last bound", { "10": 1, "30": 1, "+Inf": 9 }, 30],
  ])("of %s", (_, durations, expected) => {
    expect(medianSeconds(counts(0, durations))).toBeCloseTo(expected, 10);
  });

  it("is none where nothing was counted", () => {
    for (const durations of [{}, { "0.1": 0, "+Inf": 0 }]) expect(medianSeconds(counts(0, durations))).toBeNaN();
  });
});
