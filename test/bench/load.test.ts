import { describe, expect, it } from "vitest";
import { harmonicSum, median, runLoad, summarize } from "./load";
import { parseOptions } from "./options";
import { drawCharts } from "./svg";
import { FULL_POLL, QUICK_SIZES, SIZES } from "./world";

describe("a load", () => {
  it("is sent by so many clients, each with one request at a time, and each request once", async () => {
    const sent: number[] = [];
    let [underWay, most] = [0, 0];
    const load = await runLoad(
      10,
      3,
      async index => {
        sent.push(index);
        most = Math.max(most, ++underWay);
        await new Promise(resolve => setImmediate(resolve));
        underWay--;
      },
      100,
    );
    expect(sent).toEqual([100, 101, 102, 103, 104, 105, 106, 107, 108, 109]);
    expect(most).toBe(3);
    expect(load.latencies).toHaveLength(10);
  });

  it("fails with the first request that fails", async () => {
    await expect(runLoad(3, 1, index => Promise.reject(new Error(`request ${index}`)))).rejects.toThrow("request 0");
  });

  it("comes to percentiles of all its pieces", () => {
    const latencies = Array.from({ length: 50 }, (_, index) => index + 1);
    const pieces = [
      { latencies, seconds: 1 },
      { latencies: latencies.map(one => one + 50), seconds: 3 },
    ];
    expect(summarize(...pieces)).toEqual({ count: 100, perSecond: 25, p50: 50, p95: 95, p99: 99 });
  });

  it("has a limit where each needs one of each", () => {
    expect(harmonicSum(236, 556)).toBeCloseTo(165.7, 1);
    expect(harmonicSum(100, 100, 50)).toBeCloseTo(25);
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
  });
});

describe("the options", () => {
  it("choose parts and sizes", () => {
    expect(parseOptions([])).toMatchObject({
      sizes: SIZES,
      only: ["start", "deliveries", "rejections", "http-clients", "poll", "burst", "status-tags"],
    });
    expect(parseOptions(["--only", "poll,burst", "--full"]).sizes.polls).toContain(FULL_POLL);
    expect(parseOptions(["--quick"]).sizes).toBe(QUICK_SIZES);
    expect(parseOptions(["--target", "http://localhost:1/webhook", "--secret", "s"]).target).toEqual({
      url: "http://localhost:1/webhook",
      secret: "s",
    });
  });

  it.each([
    [["--only", "polls"], /--only knows/],
    [["--full", "--quick"], /opposites/],
    [["--target", "http://localhost"], /go together/],
    [["--target", "localhost", "--secret", "s"], /must be a URL/],
  ])("%j are refused", (argv, message) => {
    expect(() => parseOptions(argv)).toThrow(message);
  });
});

it("draws a bar for each value, as long as it says", () => {
  const groups = [{ name: "a < b & c", values: [50, 100] }];
  const svg = drawCharts([{ title: "Title", unit: "/s", series: ["one", "two"], groups }]);
  const widths = [...svg.matchAll(/<rect x="210"[^>]* width="([\d.]+)"/g)].map(([, width]) => Number(width));
  expect(widths[1]).toBeCloseTo(2 * (widths[0] ?? 0));
  expect(svg).toContain("a &lt; b &amp; c");
});
