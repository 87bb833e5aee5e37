import assert from "node:assert/strict";
import fc from "fast-check";
import { isModelVersionNumber } from "../../../capabilities/support/model-version-key";
import { parseEvent } from "../../../capabilities/server/webhook/event";
import { fuzzProperty } from "../fuzz-property";
import { encoded, eventText, jsonText } from "../hostile-json";

export const eventIsRead = fuzzProperty(
  "a body is read without an exception, and a deploy tag found only where one is written",
  encoded(fc.oneof({ weight: 3, arbitrary: eventText(["iris"]) }, { weight: 1, arbitrary: jsonText() })),
  body => {
    const parsed = parseEvent(body, { deployTagKey: "deploy", aliases: ["champion"] });
    assert.equal(({} as Record<string, unknown>).data, undefined);
    if (parsed.kind !== "deploy-tag") return;
    const { entity, action, data } = JSON.parse(body.toString("utf8")) as {
      entity: unknown;
      action: unknown;
      data: { name: unknown; version: string | number; key: unknown; tags?: object };
    };
    assert.deepEqual({ model: data.name, version: String(data.version) }, parsed.key);
    if (entity === "model_version") {
      assert.equal(action, "created");
      assert.ok(Object.hasOwn(data.tags ?? {}, "deploy"));
    } else {
      assert.equal(data.key, "deploy");
      assert.equal(entity, "model_version_tag");
      assert.ok(action === "set" || action === "deleted");
    }
    assert.ok(isModelVersionNumber(parsed.key.version));
  },
);
