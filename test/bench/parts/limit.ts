import * as z from "zod";
import { readConfiguration } from "../../../capabilities/configuration/configuration";
import { FIELD_MANAGER } from "../../../capabilities/kserve/inference-services";
import { inferenceServiceName } from "../../../capabilities/kserve/names";
import { desiredObject } from "../../../capabilities/reconciliation/desired-object";
import { collectionOf, expectSuccess } from "../bare-client";
import type { BareClient } from "../bare-client";

/** Where populate_registry.py says that the artifacts of its versions are; for the limit any address does. */
const SOURCE = "s3://models/0123456789abcdef0123456789abcdef/artifacts/model";

/** The read of MLflow that every reconcile makes, done bare. */
/** Whatever the registry, the object is as large. */
const NO_RECORD = { registryCreatedAt: 1_700_000_000_000, versionCreatedAt: 1_700_000_000_000 };

export async function readBare(mlflow: BareClient, model: string): Promise<void> {
  const query = new URLSearchParams({ name: model, version: "1" });
  expectSuccess(
    "model-versions/get",
    await mlflow.send({ method: "GET", path: `/api/2.0/mlflow/model-versions/get?${query.toString()}` }),
  );
}

/** One bare request about the InferenceService of version 1 of a model. */
export type BareRequest = (apiServer: BareClient, model: string) => Promise<void>;

/** What a removal asks of the API server. */
export interface BareRemoval {
  /** Reads the InferenceService, if there is one. */
  readonly look: BareRequest;
  /** Deletes exactly what was read last; what changed since is read again, as the module does. */
  readonly remove: BareRequest;
}

const lookedAt = z.object({ metadata: z.object({ uid: z.string(), resourceVersion: z.string() }) });

/**
 * Applies, bare, what the module applies.
 *
 * @param cpuRequest of the predictor, by which one rendering differs from the other
 * @param force as the module does for an object that is there already
 */
export function createBareApply(namespace: string, cpuRequest: string, force: boolean): BareRequest {
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
  const query = `fieldManager=${FIELD_MANAGER}&force=${String(force)}&fieldValidation=Strict`;
  return async (apiServer, model) => {
    const version = {
      model,
      version: "1",
      source: SOURCE,
      runId: "",
      status: "READY",
      createdAt: 0,
      tags: new Map<string, string>(),
    };
    const location = { storageUri: SOURCE, experimentId: "" };
    const object = desiredObject(version, location, namespace, template, resources, NO_RECORD);
    const answer = await apiServer.send({
      method: "PATCH",
      path: `${pathOf(namespace, model)}?${query}`,
      headers: { "content-type": "application/apply-patch+yaml", accept: "application/json" },
      body: JSON.stringify(object),
    });
    expectSuccess("An Apply", answer);
  };
}

export function createBareRemoval(namespace: string): BareRemoval {
  const found = new Map<string, z.output<typeof lookedAt>["metadata"]>();
  const look: BareRequest = async (apiServer, model) => {
    const answer = await apiServer.send({ method: "GET", path: pathOf(namespace, model) });
    found.delete(model);
    if (answer.status === 404) return;
    expectSuccess("The read of an InferenceService", answer);
    found.set(model, lookedAt.parse(JSON.parse(answer.text)).metadata);
  };
  return {
    look,
    async remove(apiServer, model) {
      for (;;) {
        const preconditions = found.get(model);
        if (preconditions === undefined) throw new Error(`${model} has no InferenceService that could be deleted`);
        const options = { apiVersion: "v1", kind: "DeleteOptions", preconditions, propagationPolicy: "Background" };
        const answer = await apiServer.send({
          method: "DELETE",
          path: pathOf(namespace, model),
          headers: { "content-type": "application/json", accept: "application/json" },
          body: JSON.stringify(options),
        });
        if (answer.status !== 409) {
          expectSuccess("A Delete", answer);
          return;
        }
        await look(apiServer, model);
      }
    },
  };
}

function pathOf(namespace: string, model: string): string {
  const name = inferenceServiceName({ model, version: "1" }, namespace);
  return `${collectionOf(namespace)}/${name}`;
}
