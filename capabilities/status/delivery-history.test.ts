import { describe, expect, it } from "vitest";
import { createDeliveryHistory } from "./delivery-history";
import type { DeliveryHistory, DeliveryReport } from "./delivery-history";

/** The time of all looks, in Unix time. */
const NOW = 1_800_000_000;

/** Of a process that has answered so many since its start, a day ago, each within 0.1 to 0.2 s. */
function report(name: string, answered: number, startedAt = NOW - 86_400): DeliveryReport {
  const durations = new Map([
    ["0.1", 0],
    ["0.2", answered],
    ["+Inf", answered],
  ]);
  return { name, mode: "webhook", startedAt, counts: { results: new Map([["success", answered]]), durations } };
}

const silent = (name: string): DeliveryReport => ({ name, problem: "it does not answer" });

/** The series after so many minutes, in each of which some looks are taken. */
function after(...minutes: readonly (readonly DeliveryReport[])[][]): DeliveryHistory {
  const history = createDeliveryHistory(() => NOW);
  for (const looks of minutes) {
    for (const look of looks) history.observe(look);
    history.endMinute();
  }
  return history;
}

function successes(history: DeliveryHistory): readonly number[] | undefined {
  return history.series().deliveries.find(({ name }) => name === "success")?.values;
}

describe("the last hour of deliveries", () => {
  it("has nothing before the first minute has passed", () => {
    expect(createDeliveryHistory().series()).toEqual({ deliveries: [], deliverySeconds: [] });
  });

  it("counts what each process has answered between the looks, and all together", () => {
    const history = after(
      [[report("a", 1_000), report("b", 5)]],
      [
        [report("a", 1_001), report("b", 5)],
        [report("a", 1_003), report("b", 7)],
      ],
      [[report("a", 1_003), report("b", 7)]],
    );
    const { deliveries, deliverySeconds } = history.series();
    expect(successes(history)).toEqual([0, 5, 0]);
    expect(deliveries.map(({ name }) => name)).toEqual(["success", "ignored", "refused", "rejected", "error"]);
    expect(deliveries.at(-1)?.values).toEqual([0, 0, 0]);
    expect(deliverySeconds).toEqual([{ name: "median", values: [NaN, expect.closeTo(0.15, 10), NaN] }]);
  });

  it("begins with what a new process says, and counts all of one that restarted", () => {
    expect(
      successes(
        after(
          [[report("a", 10)]],
          [[report("a", 2), report("b", 500)]],
          [[report("a", 2), report("b", 501)]],
          [[report("b", 501), report("c", 3)]],
          // Another one with a former one's address.
          [[report("a", 7), report("b", 501)]],
        ),
      ),
    ).toEqual([0, 2, 1, 0, 0]);
  });

  it("counts all of one that has just started", () => {
    const started = NOW - 60;
    expect(
      successes(
        after([[silent("mlflow-kserve-operations")]], [[report("a", 3, started)]], [[report("a", 4, started)]]),
      ),
    ).toEqual([NaN, 3, 1]);
  });

  it("counts what one has answered while it was not heard, when it is heard again", () => {
    expect(
      successes(
        after(
          [[report("a", 10), report("b", 10)]],
          [[report("a", 11), silent("b")]],
          [[silent("mlflow-kserve-operations")]],
          [],
          [[report("a", 12), report("b", 14)]],
        ),
      ),
    ).toEqual([0, 1, NaN, NaN, 5]);
  });
});
