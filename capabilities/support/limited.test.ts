import { setImmediate as oneMoment } from "node:timers/promises";
import { expect, it } from "vitest";
import { limited } from "./limited";

it("no more than so many are under way, and each has its turn, also after one that failed", async () => {
  let [underWay, most] = [0, 0];
  const work = limited(3, async (number: number) => {
    most = Math.max(most, ++underWay);
    await oneMoment();
    underWay--;
    if (number % 4 === 0) throw new Error(`not ${number}`);
    return number;
  });
  const ends = await Promise.allSettled(Array.from({ length: 20 }, (_, number) => work(number)));
  expect([most, underWay]).toEqual([3, 0]);
  expect(ends.map(({ status }) => status)).toEqual(
    Array.from({ length: 20 }, (_, number) => (number % 4 === 0 ? "rejected" : "fulfilled")),
  );
});
