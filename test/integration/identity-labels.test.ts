import { beforeAll, expect, inject, test } from "vitest";
import { surround } from "../faults/replicas";
import { installPeprStore } from "../support/pepr-store";
import { waitFor } from "../support/waiting";
import { testKubectl } from "../testbed/namespaces";

beforeAll(() => installPeprStore(testKubectl(), inject("kubeconfig")));

/** Another user than the module, which has the administrator's account here. */
const SOMEBODY = ["--as=somebody", "--as-group=system:masters"];

test("a label of ours that others change is put right by the watch, and what is theirs stays", async context => {
  const { truth, apiServer, startReplica } = await surround(context);
  let watched = false;
  apiServer.answered = ({ isWatch, path }) => {
    if (isWatch && path.endsWith("/inferenceservices")) watched = true;
  };
  // After its first poll it does not poll again.
  await startReplica({ role: "watcher", settings: { POLLING_INTERVAL: "3600" } });
  await truth.converged([...truth.kept, truth.leaving]);
  await waitFor("the watch", () => watched || undefined);
  const name = truth.nameOf(truth.leaving);
  const metadataOf = async (): Promise<unknown> => {
    const live = await truth.services.get(name);
    return live && { ...live.metadata.labels, annotations: live.metadata.annotations };
  };
  const before = await metadataOf();
  const about = ["inferenceservice", name, `--namespace=${truth.namespace}`];

  for (const change of [
    ["label", ...about, "mlflow.model=wine", "--overwrite"],
    ["label", ...about, "mlflow.version-"],
  ]) {
    await testKubectl()(change);
    await waitFor("it to be put right", async () => {
      expect(await metadataOf()).toEqual(before);
      return true;
    });
  }
});

test("an identity label that others would change is refused where admission answers, and the rest passes", async context => {
  const { truth, startReplica } = await surround(context);
  const { namespace } = truth;
  const watcher = await startReplica({ role: "watcher", settings: { POLLING_INTERVAL: "3600" } });
  await truth.converged([...truth.kept, truth.leaving]);
  await watcher.kill();
  const endpoint = await startReplica({ role: "endpoint" });
  const kubectl = testKubectl();
  const configuration = `identity-labels-${namespace}`;
  context.onTestFinished(async () => {
    await kubectl(["delete", "validatingwebhookconfiguration", configuration]);
  });
  await kubectl(
    ["create", "-f", "-"],
    JSON.stringify({
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingWebhookConfiguration",
      metadata: { name: configuration },
      webhooks: [
        {
          name: "pepr.test.example.com",
          admissionReviewVersions: ["v1"],
          clientConfig: endpoint.admission("validate"),
          failurePolicy: "Fail",
          sideEffects: "None",
          namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
          rules: [
            {
              ...{ apiGroups: ["serving.kserve.io"], apiVersions: ["v1beta1"], resources: ["inferenceservices"] },
              operations: ["CREATE", "UPDATE"],
            },
          ],
        },
      ],
    }),
  );
  const name = truth.nameOf(truth.leaving);
  const change = (verb: string, value: string): Promise<string> =>
    kubectl([verb, "inferenceservice", name, `--namespace=${namespace}`, "--overwrite", value, ...SOMEBODY]);
  const refusal = /the labels mlflow\.run-id come from MLflow, where this is .* leave them as they are/;

  // The API server learns of the configuration a moment after it was made.
  await waitFor("admission", async () => {
    const refused = await change("label", `mlflow.run-id=${crypto.randomUUID()}`).catch((error: unknown) =>
      String(error),
    );
    expect(refused).toMatch(refusal);
    return true;
  });
  await expect(change("label", "mlflow.model=wine")).rejects.toThrow("come from MLflow");
  await expect(change("label", "managed-by-")).rejects.toThrow("tag another version in MLflow instead");
  await change("label", "team=a");
  await change("annotate", "mlflow.management=paused");
  await change("annotate", "mlflow.management-");
  await change("annotate", "mlflow.management=released");
  await change("label", "mlflow.model=wine");
});
