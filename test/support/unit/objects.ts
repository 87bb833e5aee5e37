import { identityAnnotations, identityLabels, MANAGED_BY } from "../../../capabilities/kserve/identity";
import { factsOf } from "../../../capabilities/kserve/service-facts";
import { parseLive } from "../../../capabilities/kserve/live-inference-service";
import type { LiveInferenceService, ManagedFieldsEntry } from "../../../capabilities/kserve/live-inference-service";
import { inferenceServiceName } from "../../../capabilities/kserve/names";
import { compileTemplate } from "../../../capabilities/template/rendering";
import type { CompiledTemplate } from "../../../capabilities/template/rendering";
import type { ModelVersion } from "../../../capabilities/mlflow/client";
import type { ModelVersionKey } from "../../../capabilities/support/model-version-key";
import type { PredictorResources } from "../../../capabilities/reconciliation/desired-object";
import type { VersionState } from "../../../capabilities/status/published";
import { versionState } from "../../../capabilities/status/version-state";

export const NAMESPACE = "models";

export const RESOURCES: PredictorResources = {
  cpuRequest: "100m",
  cpuLimit: "1",
  memoryRequest: "512Mi",
  memoryLimit: "2Gi",
};

/** A template with a number, which a rendering may change in form but not in value. */
export const TEMPLATE: CompiledTemplate = compileTemplate(
  `apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: "{{name}}"
  namespace: "{{namespace}}"
spec:
  predictor:
    minReplicas: 1
    model:
      storageUri: "{{storage_uri}}"
      args: ["--name", "{{model_name}}"]
`,
  "test template",
);

/** A READY version tagged deploy=true, unless changed. */
export function modelVersion(changes: Partial<ModelVersion> = {}): ModelVersion {
  return {
    model: "iris",
    version: "3",
    source: "s3://bucket/iris",
    runId: "0a1b2c",
    status: "READY",
    createdAt: 1_700_000_000_000,
    tags: new Map([["deploy", "true"]]),
    ...changes,
  };
}

/** When the registry of the tests was made. */
export const REGISTRY_CREATED_AT = 1_600_000_000_000;

/** The entry of `managedFields` of one who applied these labels, annotations and spec: the module, unless named. */
export function appliedFields(
  { labels = {}, annotations = {} }: { readonly labels?: object; readonly annotations?: object },
  spec: object,
  manager = MANAGED_BY,
): ManagedFieldsEntry {
  const fields = {
    "f:metadata": { "f:labels": setOf(labels), "f:annotations": setOf(annotations) },
    "f:spec": setOf(spec),
  };
  return { manager, operation: "Apply", subresource: "", time: "2026-01-02T03:04:05Z", fieldsV1: fields };
}

function setOf(value: unknown): object {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return {};
  return Object.fromEntries(Object.entries(value).map(([name, below]) => [`f:${name}`, setOf(below)]));
}

export interface LiveChanges {
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: unknown;
}

/** The InferenceService of a version as the API server tells it, with our identity and as we applied it unless changed. */
export function liveService(key: ModelVersionKey = modelVersion(), changes: LiveChanges = {}): LiveInferenceService {
  const registry = { registryCreatedAt: REGISTRY_CREATED_AT, versionCreatedAt: modelVersion().createdAt };
  const metadata = {
    labels: identityLabels(key),
    annotations: identityAnnotations({ ...key, registry }),
    ...changes.metadata,
  };
  const live = parseLive({
    metadata: {
      name: inferenceServiceName(key, NAMESPACE),
      namespace: NAMESPACE,
      uid: `uid of ${key.model} ${key.version}`,
      resourceVersion: "100",
      generation: 1,
      creationTimestamp: "2026-01-02T03:04:05Z",
      managedFields: [appliedFields(metadata, changes.spec ?? {})],
      ...metadata,
    },
    spec: changes.spec ?? {},
    ...(changes.status === undefined ? {} : { status: changes.status }),
  });
  if (live === undefined) throw new Error("the test's InferenceService has not the form of one");
  return live;
}

/** Milliseconds that a service of the tests may take to become Ready. */
export const START_LIMIT = 900_000;

/** The state of a version of which nothing is known but its service, which people reach at KServe's external address. */
export function stateOfService(live: LiveInferenceService): VersionState {
  const service = factsOf(live, START_LIMIT);
  const state = versionState({ wish: undefined, service }, ({ urls }) => urls?.external);
  if (state === undefined) throw new Error("a version with a service has a state");
  return state;
}
