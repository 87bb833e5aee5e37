import { inject } from "vitest";
import { readConfiguration } from "../../capabilities/configuration/configuration";
import { identityAnnotations, identityLabels, labelValue, MANAGED_BY } from "../../capabilities/kserve/identity";
import type { ModelVersionKey } from "../../capabilities/support/model-version-key";
import { withIdentity } from "../../capabilities/template/rendering";
import type { InferenceServiceObject } from "../../capabilities/template/rendering";
import { testKubectl } from "../testbed/namespaces";
import { nameOf } from "./deployed-models";

/** A version with what its service has to have. */
export interface FormerVersion {
  readonly key: ModelVersionKey;
  readonly runId: string;
  readonly storageUri: string;
}

/** What the built-in template makes of a version, without anything that says whose it is. */
function rendered({ key, runId, storageUri }: FormerVersion, namespace: string): InferenceServiceObject {
  const { template, settings } = readConfiguration({
    MLFLOW_KSERVE_MLFLOW_TRACKING_URI: inject("mlflowTrackingUri"),
    MLFLOW_KSERVE_DISABLE_WEBHOOKS: "true",
  });
  return template.render({
    name: nameOf(key),
    namespace,
    model_name: key.model,
    model_label: labelValue(key.model),
    model_version: key.version,
    storage_uri: storageUri,
    run_id: runId,
    experiment_id: "0",
    cpu_request: settings.PREDICTOR_CPU_REQUEST,
    cpu_limit: settings.PREDICTOR_CPU_LIMIT,
    memory_request: settings.PREDICTOR_MEMORY_REQUEST,
    memory_limit: settings.PREDICTOR_MEMORY_LIMIT,
  });
}

/** Makes services as the former release of this module did: with all that it wrote about the run, and its digest. */
export async function applyAsFormerRelease(versions: readonly FormerVersion[], namespace: string): Promise<void> {
  const items = versions.map(version => {
    const identity = { ...version.key, runId: version.runId, experimentId: "0", source: version.storageUri };
    const annotations = { ...identityAnnotations(identity), "mlflow.rendered": "0123456789abcdef0123456789abcdef" };
    return withIdentity(rendered(version, namespace), identityLabels(identity), annotations);
  });
  await testKubectl()(["apply", "--server-side", `--field-manager=${MANAGED_BY}`, "-f", "-"], listOf(items));
}

/** Makes services by hand, as the FastAPI listener did that was used before this module: labels, and no annotations. */
export async function createAsFastApiListener(versions: readonly FormerVersion[], namespace: string): Promise<void> {
  const items = versions.map(version => {
    const object = rendered(version, namespace);
    const labels = {
      "managed-by": "mlflow-kserve-webhook-listener",
      "mlflow.model": version.key.model,
      "mlflow.version": version.key.version,
      "mlflow.run-id": version.runId,
    };
    return { ...object, metadata: { ...object.metadata, labels } };
  });
  await testKubectl()(["create", "-f", "-"], listOf(items));
}

function listOf(items: readonly object[]): string {
  return JSON.stringify({ apiVersion: "v1", kind: "List", items });
}
