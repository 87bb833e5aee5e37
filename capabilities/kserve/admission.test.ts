import { describe, expect, it } from "vitest";
import { liveService } from "../../test/support/unit/objects";
import { admit } from "./admission";

const IRIS = liveService({ model: "iris", version: "3" }).metadata;
const WINE = liveService({ model: "wine", version: "1" }).metadata;
const FOREIGN = { ...IRIS, name: "somebodys" };

describe("admit", () => {
  it("lets what is ours be created", () => {
    expect(admit({ after: IRIS })).toEqual({ allowed: true });
  });

  it("refuses our label on an object that is not made from MLflow, and says what to do", () => {
    const refused = {
      allowed: false,
      message:
        "the label managed-by=mlflow-kserve-webhook-listener is for InferenceServices that are made from MLflow; leave it out, or tag the model version in MLflow",
    };
    expect(admit({ after: FOREIGN })).toEqual(refused);
    expect(admit({ after: { ...IRIS, annotations: {} } })).toEqual(refused);
  });

  it("is not in the way of InferenceServices that have nothing to do with us", () => {
    const theirs = { ...IRIS, labels: { team: "a" }, annotations: {} };
    expect(admit({ after: theirs, username: "somebody", ownUsername: "us" })).toEqual({ allowed: true });
    expect(admit({ after: { ...theirs, labels: {} }, before: theirs })).toEqual({ allowed: true });
  });

  it("lets nobody but the module itself create one, as far as it knows who it is", () => {
    const after = IRIS;
    expect(admit({ after, username: "us", ownUsername: "us" })).toEqual({ allowed: true });
    expect(admit({ after, username: "somebody", ownUsername: "us" })).toMatchObject({ allowed: false });
    expect(admit({ after, username: "somebody", ownUsername: undefined })).toEqual({ allowed: true });
    // Others may change one, within bounds: KServe's controller does.
    expect(admit({ after, before: IRIS, username: "kserve", ownUsername: "us" })).toEqual({ allowed: true });
  });

  it("lets nobody else turn an object into one of ours", () => {
    const before = { ...IRIS, labels: {} };
    expect(admit({ after: IRIS, before, username: "somebody", ownUsername: "us" })).toMatchObject({ allowed: false });
    expect(admit({ after: IRIS, before, username: "us", ownUsername: "us" })).toEqual({ allowed: true });
    expect(admit({ after: IRIS, before, username: "somebody" })).toEqual({ allowed: true });
    // With our label alone it is not taken for ours.
    const labelled = { ...FOREIGN, labels: IRIS.labels };
    const unlabelled = { ...FOREIGN, labels: {} };
    expect(admit({ after: labelled, before: unlabelled, username: "somebody", ownUsername: "us" })).toEqual({
      allowed: true,
    });
  });

  it("lets everything change but the identity", () => {
    const labels = { ...IRIS.labels, team: "a" };
    const after = { ...IRIS, labels, annotations: { ...IRIS.annotations, note: "x" } };
    expect(admit({ after, before: IRIS })).toEqual({ allowed: true });
  });

  it.each([
    ["another model", { annotations: { ...IRIS.annotations, "mlflow.model": "wine" } }],
    ["another version", { annotations: { ...IRIS.annotations, "mlflow.version": "4" } }],
    ["no annotations", { annotations: {} }],
    ["no label", { labels: {} }],
    ["the annotations of another", { annotations: WINE.annotations, labels: WINE.labels }],
  ])("refuses %s, and says which version it serves", (_, change) => {
    expect(admit({ after: { ...IRIS, ...change }, before: IRIS })).toEqual({
      allowed: false,
      message:
        'the labels and annotations mlflow.* say that this serves "iris" version 3 and cannot be changed; tag another version in MLflow instead',
    });
  });

  describe("the identity labels", () => {
    const relabelled = (label: string, value?: string): typeof IRIS => {
      const others = Object.entries(IRIS.labels).filter(([name]) => name !== label);
      return { ...IRIS, labels: Object.fromEntries(value === undefined ? others : [...others, [label, value]]) };
    };

    it.each([
      ["mlflow.model", "wine"],
      ["mlflow.version", "4"],
      ["mlflow.run-id", "0a1b2c"],
      ["mlflow.version", undefined],
    ])("are not changed by others (%s to %s)", (label, value) => {
      const question = { after: relabelled(label, value), before: IRIS, ownUsername: "us" };
      expect(admit({ ...question, username: "somebody" })).toEqual({
        allowed: false,
        message: `the labels ${label} come from MLflow, where this is "iris" version 3, and cannot be changed here; leave them as they are and add labels of your own, or take the service over with the annotation mlflow.management=released`,
      });
      expect(admit({ ...question, username: "us" })).toEqual({ allowed: true });
      // Where it is not known who the module is, its own Apply must not be refused.
      expect(admit({ ...question, username: "somebody", ownUsername: undefined })).toEqual({ allowed: true });
    });

    it("hold up no update that leaves them as they are, right or wrong", () => {
      const before = relabelled("mlflow.version", "4");
      const after = { ...before, finalizers: ["inferenceservice.finalizers"] };
      expect(admit({ after, before, username: "kserve", ownUsername: "us" })).toEqual({ allowed: true });
    });
  });

  describe("the annotation mlflow.management", () => {
    const managed = (value: string): typeof IRIS => ({
      ...IRIS,
      annotations: { ...IRIS.annotations, "mlflow.management": value },
    });
    const by = { username: "somebody", ownUsername: "us" };

    it.each(["paused", "released", "pausd"])("may be set to %s and removed by anybody", value => {
      expect(admit({ ...by, after: managed(value), before: IRIS })).toEqual({ allowed: true });
      expect(admit({ ...by, after: IRIS, before: managed(value) })).toEqual({ allowed: true });
    });

    it("ends all protection with released, before or after the change", () => {
      const stripped = { ...IRIS, labels: {}, annotations: {} };
      expect(admit({ ...by, after: stripped, before: managed("released") })).toEqual({ allowed: true });
      const released = { ...stripped, annotations: { "mlflow.management": "released" } };
      expect(admit({ ...by, after: released, before: IRIS })).toEqual({ allowed: true });
      expect(admit({ ...by, after: managed("released") })).toEqual({ allowed: true });
    });

    it("leaves what is paused protected", () => {
      expect(admit({ ...by, after: { ...managed("paused"), labels: {} }, before: managed("paused") })).toMatchObject({
        allowed: false,
      });
    });
  });

  it("is not in the way of an object that came by our label but is not ours", () => {
    expect(admit({ after: { ...FOREIGN, labels: {} }, before: FOREIGN })).toEqual({ allowed: true });
  });

  it("never holds up what is being deleted", () => {
    const deletionTimestamp = "2026-01-02T03:04:05Z";
    expect(admit({ after: { ...IRIS, annotations: {}, deletionTimestamp }, before: IRIS })).toEqual({ allowed: true });
    expect(admit({ after: { ...FOREIGN, deletionTimestamp } })).toEqual({ allowed: true });
  });
});
