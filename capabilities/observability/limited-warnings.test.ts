import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { recordingLog } from "../../test/support/unit/recording-log";
import { limitWarnings } from "./limited-warnings";

describe("limitWarnings", () => {
  it("logs the first lines of an interval, says that it stops, and later how many were left out", async () => {
    const { log, lines } = recordingLog();
    const interval = 200;
    const warn = limitWarnings(log, "the counter", { lines: 2, interval });
    for (let number = 1; number <= 5; number++) warn({ number }, "Refused");
    const end = "Refused: no more of these lines for a while; the counter counts them all";
    expect(lines).toEqual([
      { level: "warn", fields: { number: 1 }, message: "Refused" },
      { level: "warn", fields: { number: 2 }, message: "Refused" },
      { level: "warn", fields: { seconds: 0.2 }, message: end },
    ]);

    await sleep(interval + 20);
    warn({ number: 6 }, "Refused");
    expect(lines.slice(3)).toEqual([{ level: "warn", fields: { number: 6, left_out_before: 3 }, message: "Refused" }]);
  });
});
