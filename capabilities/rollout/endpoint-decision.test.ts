import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decideEndpoint } from "./endpoint-decision";
import type { EndpointDecision, EndpointFacts, EndpointState } from "./endpoint-decision";

const NOW = 1_800_000_000_000;
const KEEP = 300_000;
const LATER = NOW + KEEP;

/** With champion, what is Ready, and where the endpoint leads. */
function decide(
  champion: string | undefined,
  ready: readonly string[],
  current?: EndpointState,
  more: Partial<EndpointFacts> = {},
): EndpointDecision {
  return decideEndpoint({
    ...{ champion, ready: new Set(ready), current, objection: undefined, now: NOW, keepFormer: KEEP },
    ...more,
  });
}

describe("a model's endpoint", () => {
  it.each<[string, EndpointDecision, EndpointDecision["state"], EndpointDecision["wait"]]>([
    ["is made when the champion is Ready", decide("1", ["1"]), { version: "1" }, undefined],
    ["is not made before", decide("1", ["2"]), undefined, "champion is not Ready"],
    ["is not made for a challenger", decide(undefined, ["2"]), undefined, "no champion"],
    ["stays as it is", decide("1", ["1", "2"], { version: "1" }), { version: "1" }, undefined],
    [
      "goes to the new champion when that is Ready, and remembers the former one",
      decide("2", ["1", "2"], { version: "1" }),
      { version: "2", former: { version: "1", until: LATER } },
      undefined,
    ],
    ["stays until then", decide("2", ["1"], { version: "1" }), { version: "1" }, "champion is not Ready"],
    [
      "stays until then, whatever becomes of it",
      decide("2", [], { version: "1" }),
      { version: "1" },
      "champion is not Ready",
    ],
    [
      "goes back at once to a former one that still runs",
      decide("1", ["1", "2"], { version: "2", former: { version: "1", until: LATER } }),
      { version: "1", former: { version: "2", until: LATER } },
      undefined,
    ],
    [
      "forgets a former one when its time is over",
      decide("2", ["1", "2"], { version: "2", former: { version: "1", until: NOW } }),
      { version: "2" },
      undefined,
    ],
    [
      "stays where the alias is taken away",
      decide(undefined, ["1", "2"], { version: "1" }),
      { version: "1" },
      "no champion",
    ],
    [
      "does not go to a champion with a veto",
      decide("2", ["1", "2"], { version: "1" }, { objection: "champion vetoed" }),
      { version: "1" },
      "champion vetoed",
    ],
    [
      "remembers no former one where the setting says so",
      decide("2", ["2"], { version: "1" }, { keepFormer: 0 }),
      { version: "2" },
      undefined,
    ],
  ])("%s", (_, decision, state, wait) => {
    expect(decision).toEqual({ state, wait });
  });

  it("never goes to what is not Ready or not the champion, never loses where it leads, and settles", () => {
    const version = fc.constantFrom("1", "2", "3");
    const step = fc.record({
      champion: fc.option(version, { nil: undefined }),
      ready: fc.uniqueArray(version),
      objection: fc.constantFrom(undefined, "champion vetoed" as const, "champion is another" as const),
      seconds: fc.nat(600),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), steps => {
        let current: EndpointState | undefined;
        let now = NOW;
        for (const { champion, ready, objection, seconds } of steps) {
          now += seconds * 1000;
          const facts = { champion, ready: new Set(ready), objection, now, keepFormer: KEEP };
          const { state } = decideEndpoint({ ...facts, current });
          if (current !== undefined) expect(state).toBeDefined();
          if (state?.version !== current?.version) {
            expect(state?.version).toBe(champion);
            expect(ready).toContain(champion);
            expect(objection).toBeUndefined();
            expect(state?.former?.version).toBe(current?.version);
          }
          expect(state?.former?.version).not.toBe(state?.version ?? "");
          // A second replica, or the same after a restart, does nothing more.
          expect(decideEndpoint({ ...facts, current: state }).state).toEqual(state);
          current = state;
        }
      }),
    );
  });
});
