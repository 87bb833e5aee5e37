import { describe, expect, it } from "vitest";
import { inMetadata, managedEntry, SPEC } from "../../test/support/unit/managed-fields";
import type { FieldSet } from "../../test/support/unit/managed-fields";
import { liveService } from "../../test/support/unit/objects";
import type { InferenceServiceObject } from "../template/rendering";
import { changedLastByOthers, compareHold, disputedFields, rememberDisputes } from "./disputed-fields";
import type { KnownHold } from "./disputed-fields";
import { FIELD_MANAGER } from "./inference-services";
import type { InferenceServices } from "./inference-services";
import type { LiveInferenceService } from "./live-inference-service";

const IRIS = { model: "iris", version: "3" };

function changedBy(...managedFields: readonly object[]): LiveInferenceService {
  return liveService(IRIS, { metadata: { managedFields } });
}

const ours = (second: number, fields?: FieldSet): object => managedEntry(FIELD_MANAGER, second, fields);

describe("changedLastByOthers", () => {
  it.each([
    ["nobody is known", changedBy(), false],
    ["we were last", changedBy(managedEntry("x", 1), ours(2)), false],
    ["somebody else was last", changedBy(ours(1), managedEntry("x", 2)), true],
    ["somebody else was last, whatever the order", changedBy(managedEntry("x", 2), ours(1)), true],
    ["both were in the same second", changedBy(managedEntry("x", 1), ours(1)), true],
    ["somebody else changed labels", changedBy(ours(1), managedEntry("x", 2, inMetadata("labels"))), true],
    ["somebody else changed annotations", changedBy(ours(1), managedEntry("x", 2, inMetadata("annotations"))), true],
    ["KServe wrote the status", changedBy(ours(1), managedEntry("x", 2, { "f:status": {} }, "status")), false],
    ["KServe set its finalizer", changedBy(ours(1), managedEntry("x", 2, inMetadata("finalizers"))), false],
  ])("when %s", (_, live, expected) => {
    expect(changedLastByOthers(live)).toBe(expected);
  });
});

describe("compareHold", () => {
  const labels = { ...SPEC, ...inMetadata("labels", ["a", "b"]) };
  const fewer = { ...SPEC, ...inMetadata("labels", ["a"]) };
  const before = changedBy(ours(1, labels));

  /** What is said of each of these, seen one after the other. */
  const takenIn = (...seen: readonly LiveInferenceService[]): boolean[] => {
    let known: KnownHold | undefined;
    return seen.map(live => {
      const compared = compareHold(known, live);
      known = compared.known;
      return compared.isTaken;
    });
  };

  it.each([
    ["nothing changed", before, false],
    [
      "others changed what is theirs",
      changedBy(ours(1, labels), managedEntry("x", 2, inMetadata("annotations"))),
      false,
    ],
    ["others changed a label of ours", changedBy(ours(1, fewer), managedEntry("x", 2, inMetadata("labels"))), true],
    ["others removed a label of ours, and own nothing", changedBy(ours(1, fewer)), true],
    ["the clock of the others is behind", changedBy(ours(1, fewer), managedEntry("x", 0, inMetadata("labels"))), true],
    ["others took everything", changedBy(managedEntry("x", 2, labels)), true],
    ["managedFields were wiped", changedBy(), true],
    ["we changed it", changedBy(ours(2, fewer), managedEntry("x", 1, inMetadata("labels"))), false],
  ])("when %s", (_, live, expected) => {
    expect(takenIn(before, live)).toEqual([false, expected]);
  });

  it("knows what was taken and put right from what was taken again, whatever the times say", () => {
    const theirs = managedEntry("x", 2, inMetadata("labels"));
    const taken = changedBy(ours(1, fewer), theirs);
    const withStatus = changedBy(ours(1, fewer), theirs, managedEntry("manager", 2, { "f:status": {} }, "status"));
    const putRight = changedBy(ours(2, labels), theirs);
    const takenAgain = changedBy(ours(2, fewer), theirs);
    expect(takenIn(before, taken, withStatus, putRight, takenAgain)).toEqual([false, true, false, false, true]);
    // Without having seen that it was put right meanwhile.
    expect(takenIn(before, taken, takenAgain)).toEqual([false, true, true]);
  });

  it("goes by who was last when it sees a service for the first time", () => {
    expect(takenIn(changedBy(ours(1), managedEntry("x", 2)))).toEqual([true]);
    expect(takenIn(before)).toEqual([false]);
  });
});

describe("disputedFields", () => {
  const desired: InferenceServiceObject = {
    apiVersion: "serving.kserve.io/v1beta1",
    kind: "InferenceService",
    metadata: { name: "mlflow-iris-v3", namespace: "models", labels: { "mlflow.model": "iris" } },
    spec: { predictor: { model: { storageUri: "s3://ours", args: ["a"], resources: { cpu: "1000m" } } } },
  };
  const model = { storageUri: "s3://ours", args: ["a"], resources: { cpu: "1" } };
  const live = (
    managedFields: readonly object[],
    changes: Readonly<Record<string, unknown>> = {},
    labels: Readonly<Record<string, string>> = { "mlflow.model": "iris" },
  ): LiveInferenceService =>
    liveService(IRIS, {
      metadata: { managedFields, labels },
      spec: { predictor: { model: { ...model, ...changes } } },
    });
  const inModel = (fields: FieldSet): FieldSet => ({ "f:spec": { "f:predictor": { "f:model": fields } } });
  const storageUri = inModel({ ".": {}, "f:storageUri": {} });

  it.each([
    ["nobody else has anything", live([ours(1)]), []],
    ["others have the same value", live([ours(1), managedEntry("x", 2, storageUri)]), []],
    ["only the form differs", live([ours(1), managedEntry("x", 2, inMetadata("labels"))]), []],
    [
      "others have another value",
      live([ours(1), managedEntry("argocd", 2, storageUri)], { storageUri: "s3://theirs" }),
      [{ manager: "argocd", field: "spec.predictor.model.storageUri" }],
    ],
    [
      "two others had it, the later one",
      live([managedEntry("later", 3, storageUri), managedEntry("earlier", 2, storageUri)], { storageUri: "s3://x" }),
      [{ manager: "later", field: "spec.predictor.model.storageUri" }],
    ],
    [
      "others changed a list, or something in it",
      live([managedEntry("x", 2, inModel({ "f:args": { 'v:"b"': {} } }))], { args: ["a", "b"] }),
      [{ manager: "x", field: "spec.predictor.model.args" }],
    ],
    [
      "others changed a label",
      live([managedEntry("kubectl-label", 2, inMetadata("labels", ["mlflow.model"]))], {}, { "mlflow.model": "wine" }),
      [{ manager: "kubectl-label", field: 'metadata.labels["mlflow.model"]' }],
    ],
    ["a field is gone", live([ours(1)], {}, {}), [{ manager: undefined, field: 'metadata.labels["mlflow.model"]' }]],
  ])("when %s", (_, object, expected) => {
    expect(disputedFields(object, desired)).toEqual(expected);
  });

  it("are remembered from before the Apply that takes them back", async () => {
    const taken = live([managedEntry("argocd", 2, storageUri)], { storageUri: "s3://theirs" });
    const applied = live([ours(3)]);
    const real: Pick<InferenceServices, "apply"> = { apply: () => Promise.resolve(applied) };
    const { services, disputedIn } = rememberDisputes(real as InferenceServices);
    expect(disputedIn("mlflow-iris-v3")).toEqual([]);
    expect(await services.apply(desired, taken)).toBe(applied);
    await services.apply(desired, applied);
    expect(disputedIn("mlflow-iris-v3")).toEqual([{ manager: "argocd", field: "spec.predictor.model.storageUri" }]);
  });
});
