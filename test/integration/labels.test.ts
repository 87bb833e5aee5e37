import fc from "fast-check";
import { expect, inject, it } from "vitest";
import { connectToApiServer } from "../../capabilities/kubernetes/api-server";
import { identityAnnotations, identityLabels, keyOf } from "../../capabilities/kserve/identity";
import { inferenceServiceName } from "../../capabilities/kserve/names";
import { inParallel } from "../../capabilities/support/in-parallel";
import { HOSTILE_TEXTS, hostileText, modelName, versionNumber } from "../arbitraries";
import { kubeConfigFrom } from "../support/kube-config";
import { createNamespace } from "../testbed/namespaces";

/** Names that the real API server is asked about; each costs some milliseconds. */
const SAMPLES = 150;

it("the real API server takes every name, label and annotation, and gives them back unchanged", async () => {
  const namespace = await createNamespace("labels");
  const apiServer = connectToApiServer(15_000, kubeConfigFrom(inject("kubeconfig")));
  const generated = fc.sample(fc.tuple(fc.oneof(modelName(), hostileText()), versionNumber(), hostileText()), SAMPLES);
  const hostile = HOSTILE_TEXTS.map((text): [string, string, string] => [text, "1", text]);
  const versions = [...generated, ...hostile].filter(([model]) => model !== "");

  await inParallel(versions, 8, async ([model, version, runId]) => {
    const key = { model, version };
    const deployment = { ...key, runId, source: `s3://bucket/${runId}`, experimentId: "7" };
    const name = inferenceServiceName(key, namespace);
    const metadata = {
      name,
      namespace,
      labels: identityLabels(deployment),
      annotations: identityAnnotations(deployment),
    };
    const answer = await apiServer({
      method: "POST",
      path: `/apis/serving.kserve.io/v1beta1/namespaces/${namespace}/inferenceservices`,
      // Admission and validation, KServe's included, without keeping anything.
      query: { dryRun: "All", fieldValidation: "Strict" },
      body: {
        apiVersion: "serving.kserve.io/v1beta1",
        kind: "InferenceService",
        metadata,
        spec: {
          predictor: { model: { modelFormat: { name: "mlflow" }, protocolVersion: "v2", storageUri: "s3://a/b" } },
        },
      },
    });
    const stored = (answer.body as { metadata: typeof metadata }).metadata;
    expect(stored.labels, JSON.stringify(model)).toMatchObject(metadata.labels);
    expect(stored.annotations, JSON.stringify(model)).toMatchObject(metadata.annotations);
    expect(keyOf(stored)).toEqual(key);
  });
});
