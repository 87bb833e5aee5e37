import { describe, expect, it } from "vitest";
import { liveService, modelVersion } from "../../test/support/unit/objects";
import { formatPath, hasApplied, hasUnownedFields, lostFields, owns } from "./field-ownership";
import type { LiveInferenceService } from "./live-inference-service";

// As the API server wrote them for a template with predictor.sklearn, which KServe made predictor.model of.
const SKLEARN = {
  "f:metadata": { "f:labels": { "f:team": {} } },
  "f:spec": { "f:predictor": { "f:sklearn": { "f:storageUri": {} } } },
};
const REWRITTEN = { predictor: { model: { modelFormat: { name: "sklearn" }, storageUri: "s3://a" } } };

function live(fieldsV1: object, spec: Readonly<Record<string, unknown>>, operation = "Apply"): LiveInferenceService {
  return liveService(modelVersion(), { spec, metadata: { managedFields: [{ manager: "us", operation, fieldsV1 }] } });
}

describe("lostFields", () => {
  it("finds what was applied and is not in the object any more", () => {
    const object = { metadata: { labels: {} }, spec: { predictor: { model: { storageUri: "s3://a" } } } };
    expect(lostFields(live(SKLEARN, REWRITTEN), "us", object).map(formatPath)).toEqual([
      "metadata.labels.team",
      "spec.predictor.sklearn",
    ]);
    expect(lostFields(live(SKLEARN, REWRITTEN), "them", object)).toEqual([]);
  });

  it("follows the items of lists by their keys and values", () => {
    const fields = {
      "f:spec": {
        "f:containers": { 'k:{"name":"a"}': { ".": {}, "f:name": {}, "f:image": {} }, 'k:{"name":"b"}': { ".": {} } },
        "f:words": { 'v:"x"': {}, 'v:"y"': {} },
      },
    };
    const object = { spec: { containers: [{ name: "b" }, { name: "a", args: [] }], words: ["y"] } };
    expect(lostFields(live(fields, {}), "us", object).map(formatPath)).toEqual([
      "spec.containers[1].image",
      'spec.words["\\"x\\""]',
    ]);
  });
});

describe("owns", () => {
  it("is true of a field that the manager applied, and of all below what it owns as a whole", () => {
    const fields = { "f:spec": { "f:args": {}, "f:predictor": { "f:replicas": {} } } };
    const object = live(fields, { args: ["a"], predictor: { replicas: 1, other: 2 } });
    const paths = [
      ["spec", "args", 0],
      ["spec", "predictor", "replicas"],
      ["spec", "predictor", "other"],
      ["spec", "x"],
    ];
    expect(paths.map(path => owns(object, "us", path))).toEqual([true, true, false, false]);
    expect(owns(object, "them", ["spec", "args"])).toBe(false);
  });
});

describe("hasUnownedFields", () => {
  it("sees what admission made of a field that it did not keep, and no empty defaults", () => {
    expect(hasUnownedFields(live(SKLEARN, REWRITTEN), {})).toBe(true);
    expect(hasUnownedFields(live(SKLEARN, REWRITTEN), REWRITTEN)).toBe(false);
    const leaner = { predictor: { model: { storageUri: "s3://a" } } };
    expect(hasUnownedFields(live(SKLEARN, REWRITTEN), leaner)).toBe(true);
    const owned = { "f:spec": { "f:predictor": { "f:model": { "f:storageUri": {} } } } };
    const spec = { predictor: { model: { storageUri: "s3://a", name: "", resources: {} } } };
    expect(hasUnownedFields(live(owned, spec), {})).toBe(false);
  });
});

describe("hasApplied", () => {
  it("is about server-side apply alone", () => {
    expect([hasApplied(live({}, {}), "us"), hasApplied(live({}, {}, "Update"), "us")]).toEqual([true, false]);
  });
});
