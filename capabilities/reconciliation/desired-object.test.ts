import { describe, expect, it } from "vitest";
import {
  appliedFields,
  liveService,
  modelVersion,
  NAMESPACE,
  RESOURCES,
  TEMPLATE,
} from "../../test/support/unit/objects";
import type { LiveChanges } from "../../test/support/unit/objects";
import { keyOf, MANAGED_BY } from "../kserve/identity";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import { compileTemplate } from "../template/rendering";
import type { InferenceServiceObject } from "../template/rendering";
import type { ModelVersion } from "../mlflow/client";
import { compare, desiredObject, settledBy } from "./desired-object";
import type { Settled } from "./desired-object";

function desired(changes: Partial<ModelVersion> = {}, storageUri = "s3://bucket/iris"): InferenceServiceObject {
  const registry = { registryCreatedAt: 1, versionCreatedAt: 2 };
  const location = { storageUri, experimentId: "1" };
  return desiredObject(modelVersion(changes), location, NAMESPACE, TEMPLATE, RESOURCES, registry);
}

const DESIRED = desired();
const WRITTEN = { ...DESIRED.metadata.labels, "mlflow.model": "Iris" };

/** What the cluster holds after an Apply of DESIRED, with changes. */
function live(changes: LiveChanges = {}): LiveInferenceService {
  const { labels, annotations } = DESIRED.metadata;
  return liveService(modelVersion(), {
    ...changes,
    metadata: {
      labels,
      annotations,
      managedFields: [appliedFields(DESIRED.metadata, DESIRED.spec)],
      ...changes.metadata,
    },
    spec: changes.spec ?? DESIRED.spec,
  });
}

function isInPlace(object: LiveInferenceService, settled?: Settled): boolean {
  return compare(object, DESIRED, "s3://bucket/iris", settled).inPlace;
}

describe("desiredObject", () => {
  it("doubles no slash where the template goes on after the folder", () => {
    const template = compileTemplate(
      "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\n" +
        "spec: {predictor: {model: {storageUri: '{{storage_uri}}/onnx', args: ['{{storage_uri}}', 1]}}}",
      "test",
    );
    const location = { storageUri: "s3://bucket/iris/", experimentId: "" };
    const registry = { registryCreatedAt: 1, versionCreatedAt: 2 };
    const { spec } = desiredObject(modelVersion(), location, NAMESPACE, template, RESOURCES, registry);
    const model = { storageUri: "s3://bucket/iris/onnx", args: ["s3://bucket/iris/", 1] };
    expect(spec).toEqual({ predictor: { model } });
  });

  it("is the rendered template with the version's identity", () => {
    expect(DESIRED.spec).toEqual({
      predictor: { minReplicas: 1, model: { storageUri: "s3://bucket/iris", args: ["--name", "iris"] } },
    });
    expect(DESIRED.metadata).toMatchObject({
      name: "mlflow-iris-v3",
      namespace: NAMESPACE,
      annotations: {
        "mlflow.source": "s3://bucket/iris",
        "mlflow.experiment-id": "1",
        "mlflow.run-id": "0a1b2c",
        "mlflow.registry": "1/2",
      },
    });
    expect(keyOf(DESIRED.metadata)).toEqual({ model: "iris", version: "3" });
  });
});

describe("compare", () => {
  const predictor = DESIRED.spec.predictor as Record<string, unknown>;
  const model = predictor.model as Record<string, unknown>;
  const withModel = (changes: Record<string, unknown>): LiveChanges => ({
    spec: { predictor: { ...predictor, model: { ...model, ...changes } } },
  });

  it("does not mind what others added: defaults, labels, annotations, status", () => {
    const changes = {
      metadata: {
        labels: { ...DESIRED.metadata.labels, team: "a" },
        annotations: { ...DESIRED.metadata.annotations, note: "x" },
      },
      spec: { predictor: { ...predictor, maxReplicas: 3, model: { ...model, protocolVersion: "v2" } }, more: {} },
    };
    expect(isInPlace(live(changes))).toBe(true);
  });

  it.each([
    ["another value", withModel({ storageUri: "s3://elsewhere" })],
    ["a missing field", { spec: { predictor: { minReplicas: 1 } } }],
    ["a text for a number", { spec: { predictor: { ...predictor, minReplicas: "1" } } }],
    ["a longer list", withModel({ args: ["--name", "iris", "--debug"] })],
    ["a list in another order", withModel({ args: ["iris", "--name"] })],
    ["an object for a list", withModel({ args: { 0: "--name", 1: "iris" } })],
    ["a list for an object", { spec: { predictor: [predictor] } }],
    ["null for an object", { spec: { predictor: null } }],
    ["a missing label", { metadata: { labels: {} } }],
  ])("sees %s", (_, changes) => {
    expect(isInPlace(live(changes))).toBe(false);
  });

  it("takes what admission wrote in another form for ours, in spec and labels, until somebody else changes it", () => {
    const rewritten = live({ ...withModel({ storageUri: "S3://bucket/iris" }), metadata: { labels: WRITTEN } });
    const settled = settledBy(rewritten, DESIRED);
    expect(isInPlace(rewritten, settled)).toBe(true);
    expect(isInPlace(rewritten)).toBe(false);
    const added = { ...rewritten, metadata: { ...rewritten.metadata, labels: { ...WRITTEN, team: "theirs" } } };
    expect(isInPlace(added, settled)).toBe(true);
    const changed = { ...rewritten, metadata: { ...rewritten.metadata, labels: { ...WRITTEN, "mlflow.model": "x" } } };
    expect(isInPlace(changed, settled)).toBe(false);
    expect(isInPlace(live(withModel({ storageUri: "s3://elsewhere" })), settled)).toBe(false);
  });

  it("is not in place while it is being deleted", () => {
    expect(isInPlace(live({ metadata: { deletionTimestamp: "2026-01-02T03:04:05Z" } }))).toBe(false);
  });

  it("leaves all bookkeeping as it is while the model stays, and renews it with the model", () => {
    const former = live({
      metadata: {
        annotations: { "mlflow.model": "iris", "mlflow.version": "3", "mlflow.rendered": "0", "mlflow.source": "old" },
      },
    });
    const { inPlace, object } = compare(former, DESIRED, "s3://bucket/iris", undefined);
    expect([inPlace, object.metadata.annotations]).toEqual([true, former.metadata.annotations]);
    const next = compare(former, desired({}, "s3://bucket/new"), "s3://bucket/new", undefined);
    expect([next.isAboutModel, next.object.metadata.annotations]).toEqual([true, DESIRED.metadata.annotations]);
  });

  it("takes a folder that is given with its final slash for the same model, brought up to date in its turn", () => {
    const whole = desired({}, "s3://bucket/iris/");
    expect(compare(live(), whole, "s3://bucket/iris/", undefined)).toMatchObject({
      inPlace: false,
      isAboutModel: false,
      isOutdated: true,
      differing: [["spec", "predictor", "model", "storageUri"]],
    });
    const other = desired({}, "s3://bucket/iris-2/");
    expect(compare(live(), other, "s3://bucket/iris-2/", undefined).isAboutModel).toBe(true);
  });

  it("finds what the template lost by who set it, and leaves to others what is theirs", () => {
    const more = { ...predictor, maxReplicas: 3 };
    const managedFields = [appliedFields(DESIRED.metadata, { predictor: more })];
    const ours = live({ spec: { predictor: more }, metadata: { managedFields } });
    const theirs = live({ spec: { predictor: more } });
    expect(compare(ours, DESIRED, "s3://bucket/iris", undefined)).toMatchObject({
      inPlace: false,
      isOutdated: true,
      lost: [["spec", "predictor", "maxReplicas"]],
    });
    expect(isInPlace(theirs)).toBe(true);
  });

  it("is outdated when only we wrote it, and not when somebody else changed it or this process applied it", () => {
    const changed = live({ spec: { predictor: { ...predictor, minReplicas: 2 } } });
    const standing = (object: LiveInferenceService, settled?: Settled): boolean =>
      compare(object, DESIRED, "s3://bucket/iris", settled).isOutdated;
    expect(standing(changed)).toBe(true);
    expect(standing(changed, settledBy(live(), DESIRED))).toBe(false);
    const [entry] = live().metadata.managedFields;
    const withoutIt = { ...entry?.fieldsV1, "f:spec": { "f:predictor": { "f:model": {} } } };
    const managedFields = [{ manager: MANAGED_BY, operation: "Apply", fieldsV1: withoutIt }];
    expect(standing(live({ spec: changed.spec, metadata: { managedFields } }))).toBe(false);
  });
});
