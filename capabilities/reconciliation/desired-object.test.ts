import { describe, expect, it } from "vitest";
import { liveService, modelVersion, NAMESPACE, RESOURCES, TEMPLATE } from "../../test/support/unit/objects";
import type { LiveChanges } from "../../test/support/unit/objects";
import { keyOf } from "../kserve/identity";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import type { InferenceServiceObject } from "../template/rendering";
import type { ModelVersion } from "../mlflow/client";
import { desiredObject, isInPlace, RENDERED_ANNOTATION } from "./desired-object";

function desired(changes: Partial<ModelVersion> = {}, storageUri = "s3://bucket/iris"): InferenceServiceObject {
  return desiredObject(modelVersion(changes), { storageUri, experimentId: "1" }, NAMESPACE, TEMPLATE, RESOURCES);
}

const DESIRED = desired();

/** What the cluster holds after an Apply of DESIRED, with changes. */
function live(changes: LiveChanges = {}): LiveInferenceService {
  const { labels, annotations } = DESIRED.metadata;
  return liveService(modelVersion(), {
    ...changes,
    metadata: { labels, annotations, ...changes.metadata },
    spec: changes.spec ?? DESIRED.spec,
  });
}

function digestOf(object: InferenceServiceObject): string | undefined {
  return object.metadata.annotations?.[RENDERED_ANNOTATION];
}

describe("desiredObject", () => {
  it("is the rendered template with the version's identity", () => {
    expect(DESIRED.spec).toEqual({
      predictor: { minReplicas: 1, model: { storageUri: "s3://bucket/iris", args: ["--name", "iris"] } },
    });
    expect(DESIRED.metadata).toMatchObject({
      name: "mlflow-iris-v3",
      namespace: NAMESPACE,
      annotations: { "mlflow.source": "s3://bucket/iris", "mlflow.experiment-id": "1", "mlflow.run-id": "0a1b2c" },
    });
    expect(keyOf(DESIRED.metadata)).toEqual({ model: "iris", version: "3" });
  });

  it("has the same digest each time, and another when anything differs", () => {
    expect(digestOf(DESIRED)).toMatch(/^[0-9a-f]{16}$/);
    expect(digestOf(desired())).toBe(digestOf(DESIRED));
    const others = [desired({}, "s3://bucket/other"), desired({ runId: "" }), desired({ version: "4" })];
    expect(new Set([DESIRED, ...others].map(digestOf)).size).toBe(4);
  });
});

describe("isInPlace", () => {
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
    expect(isInPlace(live(changes), DESIRED, undefined)).toBe(true);
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
    [
      "another rendering",
      { metadata: { annotations: { ...DESIRED.metadata.annotations, [RENDERED_ANNOTATION]: "x" } } },
    ],
  ])("sees %s", (_, changes) => {
    expect(isInPlace(live(changes), DESIRED, undefined)).toBe(false);
  });

  it("takes a spec that admission wrote in another form for ours while its generation stays", () => {
    const changed = live({ ...withModel({ storageUri: "S3://bucket/iris" }), metadata: { generation: 7 } });
    expect(isInPlace(changed, DESIRED, 7)).toBe(true);
    expect(isInPlace(changed, DESIRED, 6)).toBe(false);
    expect(isInPlace(changed, DESIRED, undefined)).toBe(false);
  });

  it("looks at labels and annotations also while the generation stays, which they do not change", () => {
    expect(isInPlace(live({ metadata: { labels: {}, generation: 7 } }), DESIRED, 7)).toBe(false);
  });

  it("is not in place while it is being deleted", () => {
    expect(isInPlace(live({ metadata: { deletionTimestamp: "2026-01-02T03:04:05Z" } }), DESIRED, 1)).toBe(false);
  });
});
