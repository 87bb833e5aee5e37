import { expect, it } from "vitest";
import { createLastHour } from "./last-hour";

it("keeps sixty minutes, the newest last", () => {
  const hour = createLastHour();
  expect(hour.series()).toEqual([]);
  for (let minute = 0; minute < 70; minute++) hour.add({ Ready: minute, Failed: 0 });
  const [ready, failed] = hour.series();
  expect(ready).toEqual({ name: "Ready", values: Array.from({ length: 60 }, (_, index) => index + 10) });
  expect(failed).toEqual({ name: "Failed", values: Array(60).fill(0) });
});
