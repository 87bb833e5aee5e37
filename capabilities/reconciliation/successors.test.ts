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
  const now = Date.parse("2026-01-02T12:00:00Z");
  const untagged = modelVersion({ tags: new Map(), modelWish: { alias: undefined } });
  const champion = modelVersion({ version: "4", tags: new Map(), modelWish: { alias: "champion" } });
  const handover = (service: ReturnType<typeof since> | undefined, answer = untagged): string | undefined =>
    handoverOf(answer, [{ version: champion, service }], now, HANDOVER);

  it("serves until the one is Ready that the alias is on, however long that takes", () => {
    expect(handover(undefined)).toBe("alias is starting");
    expect(handover(since("False", "2026-01-02T04:00:00Z"))).toBe("alias is starting");
    expect(handover(since("True", "2026-01-02T11:59:00Z"))).toBeUndefined();
  });

  it("stays when no alias is on any version, and goes when its model lost the tag", () => {
    expect(handoverOf(untagged, [], now, HANDOVER)).toBe("no alias");
    expect(handoverOf(modelVersion({ tags: new Map() }), [], now, HANDOVER)).toBeUndefined();
    expect(handoverOf(undefined, [], now, HANDOVER)).toBeUndefined();
  });

  it("waits no longer than others when a tag of its own says that it is not to be served, or it is deleted", () => {
    const vetoed = modelVersion({ tags: new Map([["deploy", "false"]]) });
    for (const answer of [vetoed, undefined]) {
      const of = (service: ReturnType<typeof since>): string | undefined =>
        handoverOf(answer, [{ version: champion, service }], now, HANDOVER);
      expect(of(since("False", "2026-01-02T11:59:00Z"))).toBe("successor is starting");
      expect(of(since("False", "2026-01-02T04:00:00Z"))).toBeUndefined();
    }
  });

  it("goes when another version of it serves by its own tag", () => {
    const service = since("True", "2026-01-02T11:59:00Z");
    expect(handoverOf(untagged, [{ version: modelVersion({ version: "5" }), service }], now, HANDOVER)).toBeUndefined();
  });
});
