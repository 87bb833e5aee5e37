import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hostileText } from "../../../test/arbitraries";
import { eventIsRead } from "../../../test/fuzz/properties/event";
import { parseEvent } from "./event";
import type { ParsedEvent } from "./event";

const DATA = { name: "iris", version: "3", key: "deploy", value: "true" };
const EVENT = { entity: "model_version_tag", action: "set", timestamp: "2026-01-02T03:04:05+00:00", data: DATA };

const CREATION = {
  ...EVENT,
  entity: "model_version",
  action: "created",
  data: { name: "iris", version: "4", source: "models:/m-1", run_id: null, tags: {}, description: null },
};

const FOLLOWED = { deployTagKey: "deploy", aliases: ["champion", "challenger"] };

function parse(event: unknown): ParsedEvent {
  return parseEvent(Buffer.from(JSON.stringify(event)), FOLLOWED);
}

describe("parseEvent", () => {
  it.each([
    ["set", { value: "true" }],
    ["deleted", { value: undefined }],
  ])("takes model_version_tag.%s of the deploy tag for a hint", (action, told) => {
    expect(parse({ ...EVENT, action })).toEqual({
      kind: "deploy-tag",
      entity: "model_version_tag",
      action,
      key: { model: "iris", version: "3" },
      told,
    });
  });

  it("takes the registration of a version with the deploy tag for a hint, whatever the value", () => {
    expect(parse({ ...CREATION, data: { ...CREATION.data, tags: { deploy: "false", owner: "me" } } })).toEqual({
      kind: "deploy-tag",
      entity: "model_version",
      action: "created",
      key: { model: "iris", version: "4" },
      told: { value: "false" },
    });
  });

  it("takes an event whose value cannot be read for a hint all the same", () => {
    expect(parse({ ...EVENT, data: { ...DATA, value: 1 } })).toMatchObject({ kind: "deploy-tag", told: undefined });
  });

  it("accepts the older form: a timestamp in seconds, run and experiment, a version that is a number", () => {
    const data = { ...DATA, version: 3, run_id: "0a1b", experiment_id: "1" };
    expect(parse({ ...EVENT, timestamp: 1_760_000_000, data })).toMatchObject({ key: { model: "iris", version: "3" } });
  });

  it("accepts fields that it does not know", () => {
    expect(parse({ ...EVENT, workspace: "default", data: { ...DATA, x: [] } }).kind).toBe("deploy-tag");
  });

  it("keeps a model's name exactly", () => {
    fc.assert(
      fc.property(hostileText(), name => {
        fc.pre(name !== "" && !/\p{Surrogate}/u.test(name));
        expect(parse({ ...EVENT, data: { ...DATA, name } })).toMatchObject({ key: { model: name } });
      }),
    );
  });

  it.each([
    [{ ...EVENT, action: "created" }, "model_version_tag.created does not concern deployments"],
    [
      { ...EVENT, entity: "registered_model", action: "created", data: {} },
      "registered_model.created does not concern",
    ],
    [{ ...EVENT, entity: "registered_model_tag" }, "registered_model_tag.set does not concern deployments"],
    [{ ...EVENT, data: { ...DATA, key: "owner" } }, "the tag is not deploy"],
    [{ ...EVENT, data: { ...DATA, key: "Deploy" } }, "the tag is not deploy"],
    // MLflow's own test call has example data; somebody else's tag may hold anything.
    [
      { ...EVENT, data: { name: "example_model", version: "1", key: "example_key", value: "v" } },
      "the tag is not deploy",
    ],
    [{ ...EVENT, data: { key: "owner", version: null } }, "the tag is not deploy"],
    [CREATION, "the version was registered without the tag deploy"],
    ...[null, "deploy", ["deploy"], { Deploy: "true" }].map(tags => [
      { ...CREATION, data: { tags } },
      "the version was registered without the tag deploy",
    ]),
    [
      { ...EVENT, entity: "model_version_alias", action: "created", data: { name: "iris", alias: "a", version: "1" } },
      "the alias is not champion or challenger",
    ],
  ] as [typeof EVENT, string][])("ignores what does not concern deployments (%#)", (event, reason) => {
    const parsed = parse(event);
    expect(parsed).toMatchObject({ kind: "ignored", entity: event.entity, action: event.action });
    expect(parsed).toHaveProperty("reason", expect.stringContaining(reason));
  });

  it.each([
    ["created", { name: "iris", alias: "champion", version: "3" }, "3"],
    ["created", { name: "iris", alias: "challenger", version: 4 }, "4"],
    ["deleted", { name: "iris", alias: "champion" }, undefined],
  ])("takes model_version_alias.%s of an alias that is followed for a hint", (action, data, version) => {
    const event = { ...EVENT, entity: "model_version_alias", action, data };
    expect(parse(event)).toEqual({ kind: "alias", entity: event.entity, action, model: "iris", version });
  });

  it("finds an alias without its model or version malformed", () => {
    const event = { ...EVENT, entity: "model_version_alias", action: "created", data: { alias: "champion" } };
    const parsed = parse(event);
    expect(parsed.kind).toBe("malformed");
    expect("problems" in parsed && parsed.problems.map(problem => problem.split(":")[0])).toEqual([
      "data.name",
      "data.version",
    ]);
  });

  it.each([
    [null, "the body: "],
    ["text", "the body: "],
    [[EVENT], "the body: "],
    [{ ...EVENT, entity: "" }, "entity: "],
    [{ ...EVENT, action: 1 }, "action: "],
    [{ ...EVENT, action: { length: { toString: [] } } }, "action: "],
    [{ ...EVENT, data: { ...DATA, name: { length: { toString: [] } } } }, "data.name: "],
    [{ ...EVENT, timestamp: null }, "timestamp: "],
    [{ ...CREATION, data: { name: "iris", version: "x", tags: { deploy: "true" } } }, "data.version: must be"],
    [{ ...CREATION, data: { version: "1", tags: { deploy: "true" } } }, "data.name: "],
    [{ ...EVENT, data: [] }, "data: "],
    [{ ...EVENT, data: "x" }, "data: "],
    [{ ...EVENT, data: { ...DATA, name: "" } }, "data.name: "],
    [{ ...EVENT, data: { ...DATA, name: ["iris"] } }, "data.name: "],
    [{ ...EVENT, data: { ...DATA, name: "iris\ud800" } }, "data.name: must not have lone surrogates"],
    [{ ...EVENT, data: { ...DATA, name: "x".repeat(1025) } }, "data.name: must have at most 1024 characters"],
    [{ ...EVENT, data: { ...DATA, version: "0" } }, "data.version: must be a positive whole number"],
    [{ ...EVENT, data: { ...DATA, version: "03" } }, "data.version: must be a positive whole number"],
    [{ ...EVENT, data: { ...DATA, version: "3; drop" } }, "data.version: must be a positive whole number"],
    [{ ...EVENT, data: { ...DATA, version: -1 } }, "data.version: must be a positive whole number"],
    [{ ...EVENT, data: { ...DATA, version: 1.5 } }, "data.version: "],
    [{ ...EVENT, data: { ...DATA, version: 1e21 } }, "data.version: "],
    [{ ...EVENT, data: { ...DATA, version: { toString: "3" } } }, "data.version: "],
  ])("names the field that is malformed (%#)", (event, problem) => {
    const parsed = parse(event);
    expect(parsed.kind).toBe("malformed");
    if (parsed.kind === "malformed")
      expect(parsed.problems.map(text => text.slice(0, problem.length))).toEqual([problem]);
  });

  it("names all fields that are malformed", () => {
    const parsed = parse({ entity: 1, action: "", data: null });
    expect(parsed.kind === "malformed" && parsed.problems.map(text => text.split(":")[0])).toEqual([
      "entity",
      "action",
      "timestamp",
      "data",
    ]);
  });

  it.each([
    "",
    "{",
    '{"entity":',
    "undefined",
    "NaN",
    "\ufeff{}",
    `${JSON.stringify(EVENT)}x`,
    "entity=model_version_tag",
  ])("refuses %j, which is not JSON", text => {
    expect(parseEvent(Buffer.from(text), FOLLOWED)).toEqual({
      kind: "malformed",
      problems: ["the body is not JSON in UTF-8"],
    });
  });

  it("refuses a body that is not UTF-8, in which different names would become the same", () => {
    const [before = "", after = ""] = JSON.stringify(EVENT).split("iris");
    for (const bytes of [[0xe9], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xff, 0xfe]]) {
      const body = Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(after)]);
      expect(parseEvent(body, FOLLOWED)).toEqual({ kind: "malformed", problems: ["the body is not JSON in UTF-8"] });
    }
  });
});

describe("parseEvent and JavaScript's prototypes", () => {
  it.each([
    '{"__proto__": {"entity": "model_version_tag", "action": "set", "timestamp": 1, "data": {"key": "deploy"}}}',
    '{"entity": "model_version_tag", "action": "set", "timestamp": 1, "data": {"__proto__": {"key": "deploy", "name": "iris", "version": "3"}}}',
    '{"entity": "model_version_tag", "action": "set", "timestamp": 1, "data": {"constructor": {"prototype": {"key": "deploy"}}}}',
  ])("takes nothing from a prototype (%#)", text => {
    expect(parseEvent(Buffer.from(text), FOLLOWED).kind).not.toBe("deploy-tag");
    expect({}).not.toHaveProperty("key");
  });

  it("finds no tag when the key to look for is a property of every object", () => {
    const event = { ...EVENT, data: { name: "iris", version: "3" } };
    for (const key of ["constructor", "toString", "__proto__"]) {
      expect(parseEvent(Buffer.from(JSON.stringify(event)), { ...FOLLOWED, deployTagKey: key }).kind).toBe("ignored");
    }
  });

  it(eventIsRead.name, () => eventIsRead.assert({ numRuns: 500 }));

  it.each(["[", '{"data":', '{"entity":"model_version_tag","action":"set","timestamp":1,"data":{"x":['])(
    "survives a megabyte of %s",
    opening => {
      const text = opening + "[".repeat(500_000) + "]".repeat(500_000);
      expect(parseEvent(Buffer.from(text), FOLLOWED).kind).toBe("malformed");
    },
  );
});
