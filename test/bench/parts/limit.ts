import { readConfiguration } from "../../../capabilities/configuration/configuration";
import { FIELD_MANAGER } from "../../../capabilities/kserve/inference-services";
import { inferenceServiceName } from "../../../capabilities/kserve/names";
import { desiredObject } from "../../../capabilities/reconciliation/desired-object";
import { expectSuccess } from "../bare-client";
import type { BareClient } from "../bare-client";

/** Where populate_registry.py says that the artifacts of its versions are; for the limit any address does. */
const SOURCE = "s3://models/0123456789abcdef0123456789abcdef/artifacts/model";

/** The read of MLflow that every reconcile makes, done bare. */
export async function readBare(mlflow: BareClient, model: string): Promise<void> {
  const query = new URLSearchParams({ name: model, version: "1" });
  expectSuccess(
    "model-versions/get",
    await mlflow.send({ method: "GET", path: `/api/2.0/mlflow/model-versions/get?${query.toString()}` }),
  );
}

/** Applies, bare, what the module applies for version 1 of a model. */
export type BareApply = (apiServer: BareClient, model: string) => Promise<void>;

/**
 * @param cpuRequest of the predictor, by which one rendering differs from the other
 * @param force as the module does for an object that is there already
 */
export function createBareApply(namespace: string, cpuRequest: string, force: boolean): BareApply {
  const { settings, template } = readConfiguration({
    MLFLOW_KSERVE_MLFLOW_TRACKING_URI: "http://mlflow",
    MLFLOW_KSERVE_DISABLE_WEBHOOKS: "true",
  });
  const resources = {
    cpuRequest,
    cpuLimit: settings.PREDICTOR_CPU_LIMIT,
    memoryRequest: settings.PREDICTOR_MEMORY_REQUEST,
    memoryLimit: settings.PREDICTOR_MEMORY_LIMIT,
  };
  const collection = `/apis/serving.kserve.io/v1beta1/namespaces/${namespace}/inferenceservices`;
  const query = `fieldManager=${FIELD_MANAGER}&force=${String(force)}&fieldValidation=Strict`;
  return async (apiServer, model) => {
    const version = {
      model,
      version: "1",
      source: SOURCE,
      runId: "",
      status: "READY",
      tags: new Map<string, string>(),
    };
    const location = { storageUri: SOURCE, experimentId: "" };
    const object = desiredObject(version, location, namespace, template, resources);
    const answer = await apiServer.send({
      method: "PATCH",
      path: `${collection}/${inferenceServiceName(version, namespace)}?${query}`,
      headers: { "content-type": "application/apply-patch+yaml", accept: "application/json" },
      body: JSON.stringify(object),
    });
    expectSuccess("An Apply", answer);
  };
}
