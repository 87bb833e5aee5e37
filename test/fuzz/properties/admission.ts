import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { KubernetesError } from "../../../capabilities/kubernetes/api-server";
import type { ApiServer } from "../../../capabilities/kubernetes/api-server";
import { identityLabels, keyOf } from "../../../capabilities/kserve/identity";
import { FIELD_MANAGER } from "../../../capabilities/kserve/inference-services";
import { compileTemplate, TemplateError } from "../../../capabilities/template/rendering";
import type { CompiledTemplate, InferenceServiceObject } from "../../../capabilities/template/rendering";
import type { ModelVersion } from "../../../capabilities/mlflow/client";
import { resolveStorageUri } from "../../../capabilities/mlflow/storage-uri";
import { desiredObject } from "../../../capabilities/reconciliation/desired-object";
import { hostileText, modelName, versionNumber } from "../../arbitraries";
import { fuzzProperty } from "../fuzz-property";
import type { FuzzProperty } from "../fuzz-property";
import { compiledOrRefused, templateText } from "./rendering";
import { versionSource } from "./storage-uri";

/** Objects that the API server is asked about at once. */
const BATCH = 8;

const RESOURCES = { cpuRequest: "100m", cpuLimit: "1", memoryRequest: "512Mi", memoryLimit: "2Gi" };

const builtIn = compileTemplate(
  readFileSync(path.join(__dirname, "../../../templates/inference-service.yaml.txt"), "utf8"),
  "built-in template",
);

interface Hostile {
  readonly version: ModelVersion;
  readonly storageUri: string;
  readonly experimentId: string;
}

/**
 * A version as MLflow could tell it, with the storage URI that its source resolves to. MLflow keeps text as UTF-8, so a
 * source has no lone surrogates; names have them here, because the module can write those.
 */
function hostileVersion(): fc.Arbitrary<Hostile> {
  const texts = fc.tuple(fc.oneof(modelName(), hostileText()), versionNumber(), hostileText(), hostileText());
  return fc
    .tuple(texts, versionSource())
    .filter(([[model], source]) => model !== "" && !/\p{Surrogate}/u.test(source))
    .map(([[model, version, runId, experimentId], source]) => {
      const resolution = resolveStorageUri(source, { storageUriBase: "s3://bucket/prefix" });
      // What is refused is never rendered: then another one is tried with the other values.
      const storageUri = resolution.kind === "ready" ? resolution.uri : "s3://models/artifacts";
      const found = { model, version, source, runId, status: "READY", createdAt: 0, tags: new Map<string, string>() };
      return { version: found, storageUri, experimentId };
    });
}

/** What must hold for what is rendered, asked of the real API server with KServe's CRD and admission, by dry runs. */
const REGISTRY = { registryCreatedAt: 1, versionCreatedAt: 2 };

export function admissionProperties(apiServer: ApiServer, namespace: string): FuzzProperty[] {
  const tryApply = async (object: InferenceServiceObject): Promise<InferenceServiceObject> => {
    const { body } = await apiServer({
      method: "PATCH",
      path: `/apis/serving.kserve.io/v1beta1/namespaces/${namespace}/inferenceservices/${object.metadata.name}`,
      query: { dryRun: "All", fieldManager: FIELD_MANAGER, force: "false", fieldValidation: "Strict" },
      contentType: "application/apply-patch+yaml",
      body: object,
    });
    return body as InferenceServiceObject;
  };
  const render = ({ version, storageUri, experimentId }: Hostile, template: CompiledTemplate): InferenceServiceObject =>
    desiredObject(version, { storageUri, experimentId }, namespace, template, RESOURCES, REGISTRY);
  const checkIdentity = (stored: InferenceServiceObject, { version }: Hostile): void => {
    const { model, runId } = version;
    assert.deepEqual([stored.apiVersion, stored.kind], ["serving.kserve.io/v1beta1", "InferenceService"]);
    assert.equal(stored.metadata.namespace, namespace);
    assert.deepEqual(keyOf(stored.metadata), { model, version: version.version });
    const labels = identityLabels({ model, version: version.version, runId });
    assert.deepEqual({ ...stored.metadata.labels, ...labels }, stored.metadata.labels);
  };
  const batches = <T>(name: string, inputs: fc.Arbitrary<T>, holds: (input: T) => Promise<void>): FuzzProperty =>
    fuzzProperty(
      name,
      fc.array(inputs, { minLength: 1, maxLength: BATCH, size: "max" }),
      async batch => {
        await Promise.all(batch.map(holds));
      },
      batch => batch.length,
    );

  return [
    batches("the built-in template makes an InferenceService that KServe takes", hostileVersion(), async hostile => {
      const stored = await tryApply(render(hostile, builtIn));
      checkIdentity(stored, hostile);
      const { predictor } = stored.spec as { predictor: { model: { storageUri: string } } };
      assert.equal(predictor.model.storageUri, hostile.storageUri);
    }),
    batches(
      "any template makes our InferenceService, or is refused: at the start or by Kubernetes",
      fc.tuple(hostileVersion(), templateText()),
      async ([hostile, text]) => {
        const template = compiledOrRefused(text);
        if (template === undefined) return;
        let stored;
        try {
          stored = await tryApply(render(hostile, template));
        } catch (error) {
          if (error instanceof TemplateError) return;
          assert.ok(error instanceof KubernetesError && isRefusal(error), String(error));
          return;
        }
        checkIdentity(stored, hostile);
      },
    ),
  ];
}

/** A refusal of this object; two of them come with a 500: a field that the CRD does not have, and a panic of KServe's. */
function isRefusal({ status, message }: KubernetesError): boolean {
  if (status === 500) return /^failed to create typed patch object| denied the request: panic: /.test(message);
  return status >= 400 && status < 500;
}
