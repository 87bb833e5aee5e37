import { expect, it } from "vitest";
import { webhookConfigurations } from "./admission-webhooks";

const kind = { kind: "InferenceService", group: "serving.kserve.io", version: "v1beta1", plural: "inferenceservices" };
const target = { name: "pepr-x", namespace: "models", url: "https://127.0.0.1:1", apiPath: "p", authority: "PEM" };

it("has the API server ask about what the module acts on, in its namespace", () => {
  const bindings = [
    { event: "*", kind },
    { event: "CREATE", isMutate: true, kind },
    { event: "CREATEORUPDATE", isValidate: true, kind },
  ];
  const about = { apiGroups: [kind.group], apiVersions: [kind.version], resources: [kind.plural] };
  const webhook = (action: string, ...operations: string[]): unknown =>
    expect.objectContaining({
      clientConfig: { url: `https://127.0.0.1:1/${action}/p`, caBundle: "UEVN" },
      namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "models" } },
      rules: [{ ...about, operations }],
    });
  expect(webhookConfigurations(bindings, target)).toMatchObject([
    { kind: "MutatingWebhookConfiguration", webhooks: [webhook("mutate", "CREATE")] },
    { kind: "ValidatingWebhookConfiguration", webhooks: [webhook("validate", "CREATE", "UPDATE")] },
  ]);
});

it("registers nothing for a module that only watches", () => {
  expect(webhookConfigurations([{ event: "*", kind }], target)).toEqual([]);
});
