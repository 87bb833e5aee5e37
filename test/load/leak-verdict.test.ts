import { describe, expect, it } from "vitest";
import { growthOf, leaksIn } from "./leak-verdict";
import type { LeakMeasurement } from "./leak-verdict";
import type { Sample } from "./process-sample";

const QUIET: Sample = {
  deliveries: 0,
  residentBefore: 150,
  resident: 140,
  heap: 50,
  descriptors: 20,
  series: 50,
  queue: 0,
};
const LIMITS = { resident: 0.1, heap: 0.1, descriptors: 0 };

function measured(changes: Partial<LeakMeasurement> = {}): LeakMeasurement {
  const samples = Array.from({ length: 18 }, () => QUIET);
  return { start: QUIET, samples, end: QUIET, incidents: [], ...changes };
}

/** Memory that grows by so many MiB from the first sample to the last. */
function growing(kind: "resident" | "heap", by: number): LeakMeasurement {
  return measured({
    samples: Array.from({ length: 18 }, (_, index) => ({ ...QUIET, [kind]: QUIET[kind] + (by * index) / 17 })),
  });
}

describe("the verdict about leaks", () => {
  it("is content with a process that stays as it is", () => {
    expect(leaksIn(measured(), LIMITS)).toEqual([]);
  });

  it.each([
    ["resident memory that grows", growing("resident", 20), /^resident memory grew by/],
    ["live objects that grow", growing("heap", 8), /^heap memory grew by/],
    ["descriptors", measured({ end: { ...QUIET, descriptors: 21 } }), /^21 descriptors are open, 20 were/],
    ["a queue", measured({ end: { ...QUIET, queue: 3 } }), /^3 model versions/],
    ["time series", measured({ end: { ...QUIET, series: 10_000 } }), /^there are 10000 time series/],
    ["what else happened", measured({ incidents: ["the process ended"] }), /^the process ended$/],
  ])("reports %s", (_what, measurement, message) => {
    expect(leaksIn(measurement, LIMITS)).toEqual([expect.stringMatching(message)]);
  });

  it("allows what the limits allow", () => {
    expect(leaksIn(growing("resident", 13), LIMITS)).toEqual([]);
    const end = { ...QUIET, descriptors: 52 };
    expect(leaksIn(measured({ end }), { ...LIMITS, descriptors: 32 })).toEqual([]);
  });

  it("does not fall for a single sample", () => {
    const samples = Array.from({ length: 27 }, (_, index) => ({ ...QUIET, resident: index === 26 ? 900 : 140 }));
    expect(growthOf(samples, ({ resident }) => resident)).toEqual({ first: 140, last: 140, share: 0 });
  });
});
