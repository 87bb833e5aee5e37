import { dump } from "js-yaml";
import { editText } from "./text-edits";

interface NamespaceRule {
  readonly key: string;
  readonly operator: string;
  readonly values: readonly string[];
}

/** As much of a Mutating- or ValidatingWebhookConfiguration as a template is made of. */
export interface WebhookConfiguration {
  readonly kind: string;
  readonly webhooks: readonly {
    readonly failurePolicy: string;
    readonly timeoutSeconds: number;
    readonly namespaceSelector: { readonly matchExpressions: readonly NamespaceRule[] };
  }[];
}

const POLICY = "FAILURE_POLICY";
const TIMEOUT = "TIMEOUT_SECONDS";
const NAMESPACES = "FURTHER_NAMESPACES";

/**
 * The chart's template of a webhook configuration, from the one among the manifests of the same build. Pepr makes its own by
 * replacing texts, and among them every "10", which may be part of the path or of the certificate.
 */
export function webhookTemplate(configuration: WebhookConfiguration): string {
  const webhooks = configuration.webhooks.map(webhook => ({
    ...webhook,
    failurePolicy: POLICY,
    timeoutSeconds: TIMEOUT,
    namespaceSelector: {
      matchExpressions: webhook.namespaceSelector.matchExpressions.map(rule => ({
        ...rule,
        values: [...rule.values, NAMESPACES],
      })),
    },
  }));
  return editText(dump({ ...configuration, webhooks }, { lineWidth: -1 }), configuration.kind, [
    [POLICY, "{{ .Values.admission.failurePolicy }}"],
    [TIMEOUT, "{{ .Values.admission.webhookTimeout }}"],
    [
      `            - ${NAMESPACES}\n`,
      "            {{- range .Values.additionalIgnoredNamespaces }}\n            - {{ . }}\n            {{- end }}\n",
    ],
  ]);
}
