import { describe, expect, it } from "vitest";
import { liveService, modelVersion } from "../../test/support/unit/objects";
import { awaitedSuccessor, handoverOf, readinessOf } from "./successors";

const HANDOVER = 600_000;
const version = modelVersion();

/** A service made at 03:04:05 of 2026-01-02 with this condition since then. */
const since = (status: string, lastTransitionTime: string): ReturnType<typeof readinessOf> =>
  readinessOf(liveService(version, { status: { conditions: [{ type: "Ready", status, lastTransitionTime }] } }));

describe("the version that a model's last Ready one is to wait for", () => {
  const now = Date.parse("2026-01-02T12:00:00Z");

  it.each([
    ["was Ready until a minute ago", since("False", "2026-01-02T11:59:00Z"), version],
    ["has not been Ready for hours", since("False", "2026-01-02T04:00:00Z"), undefined],
    ["serves", since("True", "2026-01-02T11:59:00Z"), undefined],
    ["has no service yet", undefined, version],
  ])("is one that %s", (_, service, awaited) => {
    expect(awaitedSuccessor([{ version, service }], now, HANDOVER)).toBe(awaited);
  });

  it("is one that was made a minute ago, and of which KServe says nothing", () => {
    const service = readinessOf(liveService(version));
    expect(awaitedSuccessor([{ version, service }], service.startedAt + 60_000, HANDOVER)).toBe(version);
  });
});

describe("a Ready version of a model that follows its aliases", () => {
  const at = { now: Date.parse("2026-01-02T12:00:00Z"), handover: HANDOVER, championAlias: "champion" };
  const untagged = modelVersion({ tags: new Map(), modelWish: { alias: undefined } });
  const champion = modelVersion({ version: "4", tags: new Map(), modelWish: { alias: "champion" } });
  const handover = (service: ReturnType<typeof since> | undefined, answer = untagged): string | undefined =>
    handoverOf(answer, [{ version: champion, service }], at);

  it("serves until the one is Ready that the alias is on, however long that takes", () => {
    expect(handover(undefined)).toBe("alias is starting");
    expect(handover(since("False", "2026-01-02T04:00:00Z"))).toBe("alias is starting");
    expect(handover(since("True", "2026-01-02T11:59:00Z"))).toBeUndefined();
  });

  it("stays when no alias is on any version, and goes when its model lost the tag", () => {
    expect(handoverOf(untagged, [], at)).toBe("no alias");
    expect(handoverOf(modelVersion({ tags: new Map() }), [], at)).toBeUndefined();
    expect(handoverOf(undefined, [], at)).toBeUndefined();
  });

  it("waits no longer than others when a tag of its own says that it is not to be served, or it is deleted", () => {
    const vetoed = modelVersion({ tags: new Map([["deploy", "false"]]) });
    for (const answer of [vetoed, undefined]) {
      const of = (service: ReturnType<typeof since>): string | undefined =>
        handoverOf(answer, [{ version: champion, service }], at);
      expect(of(since("False", "2026-01-02T11:59:00Z"))).toBe("successor is starting");
      expect(of(since("False", "2026-01-02T04:00:00Z"))).toBeUndefined();
    }
  });

  it("goes when another version of it serves by its own tag, and no alias is on any", () => {
    const service = since("True", "2026-01-02T11:59:00Z");
    expect(handoverOf(untagged, [{ version: modelVersion({ version: "5" }), service }], at)).toBeUndefined();
  });

  it("waits for the champion also where a challenger serves, or a version by its own tag", () => {
    const service = since("True", "2026-01-02T11:59:00Z");
    const challenger = modelVersion({ version: "3", tags: new Map(), modelWish: { alias: "challenger" } });
    for (const other of [challenger, modelVersion({ version: "5" })]) {
      const successors = [
        { version: other, service },
        { version: champion, service: since("False", "2026-01-02T04:00:00Z") },
      ];
      expect(handoverOf(untagged, successors, at)).toBe("alias is starting");
    }
    expect(handoverOf(untagged, [{ version: challenger, service }], at)).toBeUndefined();
  });

  it("waits like others for what replaces it where an alias is on it, and its storage is not allowed", () => {
    const wanted = modelVersion({ tags: new Map(), modelWish: { alias: "champion" } });
    expect(handoverOf(wanted, [], at)).toBeUndefined();
  });
});
