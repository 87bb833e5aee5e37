import { describe, expect, it } from "vitest";
import { keyIsFoundAgain, keyNeedsItsName, labelIsValid, managed } from "../../test/fuzz/properties/names";
import { identityAnnotations, identityLabels, isManaged, keyOf, labelValue, MANAGED_BY } from "./identity";

const OTHER_LABELS = {
  "managed-by": "mlflow-kserve-webhook-listener",
  "mlflow.model": "Foo-Bar",
  "mlflow.version": "3",
};

describe("identityLabels", () => {
  it("says who manages the object, and what it serves", () => {
    expect(identityLabels({ model: "iris", version: "3", runId: "0a1b2c3d4e5f60718293a4b5c6d7e8f9" })).toEqual({
      "managed-by": "mlflow-kserve-webhook-listener",
      "mlflow.model": "iris",
      "mlflow.version": "3",
      "mlflow.run-id": "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
    });
  });

  it.each([undefined, ""])("leaves the run out when there is none (%j)", runId => {
    expect(identityLabels({ model: "iris", version: "3", runId })).not.toHaveProperty("mlflow.run-id");
  });

  it("keeps a version of ten digits, though it could be a hash", () => {
    expect(identityLabels({ model: "iris", version: "1234567890" })["mlflow.version"]).toBe("1234567890");
  });

  it(labelIsValid.name, () => labelIsValid.assert({ numRuns: 1000 }));
});

describe("labelValue", () => {
  it.each(["iris", "Foo_Bar", "a.b-c_d", "x".repeat(63), "7"])("leaves %j as it is", text => {
    expect(labelValue(text)).toBe(text);
  });

  it.each(["foo bar", "_foo", "foo.", "x".repeat(64), "模型", "", "foo-0123456789", "0123456789"])(
    "hashes %j",
    text => {
      expect(labelValue(text)).not.toBe(text);
      expect(labelValue(text)).toMatch(/^([A-Za-z0-9].*-)?[0-9a-f]{10}$/);
    },
  );

  it("keeps the remains free of punctuation at both ends", () => {
    expect(labelValue("_foo bar._")).toMatch(/^foo-bar-[0-9a-f]{10}$/);
  });
});

describe("identityAnnotations", () => {
  it("holds the full originals", () => {
    const originals = {
      model: "Foo_Bar 模型",
      version: "3",
      runId: "r",
      experimentId: "12",
      source: "s3://b/ü?x=1",
    };
    expect(identityAnnotations(originals)).toEqual({
      "mlflow.model": "Foo_Bar 模型",
      "mlflow.version": "3",
      "mlflow.run-id": "r",
      "mlflow.experiment-id": "12",
      "mlflow.source": "s3://b/ü?x=1",
    });
  });

  it("leaves out what is not known", () => {
    expect(Object.keys(identityAnnotations({ model: "iris", version: "3", runId: "" }))).toEqual([
      "mlflow.model",
      "mlflow.version",
    ]);
  });

  it("leaves out a source so long that the annotations would not fit", () => {
    expect(identityAnnotations({ model: "iris", version: "3", source: "ü".repeat(20_000) })).not.toHaveProperty(
      "mlflow.source",
    );
  });

  it("writes a text that UTF-8 cannot hold as JSON", () => {
    expect(identityAnnotations({ model: 'a"\ud800', version: "3" })["mlflow.model"]).toBe('"a\\"\\ud800"');
  });
});

describe("keyOf", () => {
  it(keyIsFoundAgain.name, () => keyIsFoundAgain.assert({ numRuns: 1000 }));

  it("tells a lone surrogate from its JSON", () => {
    for (const model of ["\ud800", '"\\ud800"', "\ufffd", '"\ufffd"']) {
      expect(keyOf(managed(model, "1"))).toEqual({ model, version: "1" });
    }
  });

  const mine = managed("Foo_Bar", "3");
  it.each([
    ["of another manager", { ...mine, labels: { ...mine.labels, "managed-by": "helm" } }],
    ["without labels", { ...mine, labels: undefined }],
    ["without annotations and with another label", { ...mine, labels: OTHER_LABELS, annotations: undefined }],
    ["with another name", { ...mine, name: "mlflow-foo-bar-v3" }],
    ["without a name", { ...mine, name: undefined }],
    ["without a namespace", { ...mine, namespace: undefined }],
    ["of another model", { ...mine, annotations: { ...mine.annotations, "mlflow.model": "foo-bar" } }],
    ["of another version", { ...mine, annotations: { ...mine.annotations, "mlflow.version": "4" } }],
    ["of no version", { ...mine, annotations: { ...mine.annotations, "mlflow.version": "latest" } }],
    ["with JSON that is none", { ...mine, annotations: { ...mine.annotations, "mlflow.model": '"Foo_Bar' } }],
    ["with JSON of a plain text", { ...mine, annotations: { ...mine.annotations, "mlflow.model": '"Foo_Bar"' } }],
    ["only labelled as ours", { name: "iris", namespace: "default", labels: { "managed-by": MANAGED_BY } }],
    ["in a namespace that is too long", { ...mine, namespace: "n".repeat(63) }],
  ])("is undefined for an object %s", (_, metadata) => {
    expect(keyOf(mine)).toEqual({ model: "Foo_Bar", version: "3" });
    expect(keyOf(metadata)).toBeUndefined();
  });

  it(keyNeedsItsName.name, () => keyNeedsItsName.assert({ numRuns: 100 }));
});

describe("isManaged", () => {
  it("goes by the label", () => {
    expect(isManaged({ labels: { "managed-by": MANAGED_BY } })).toBe(true);
    expect(isManaged({ labels: { "managed-by": "helm" } })).toBe(false);
    expect(isManaged({})).toBe(false);
  });
});
