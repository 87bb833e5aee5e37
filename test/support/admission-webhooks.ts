import type { Kubectl } from "../testbed/kubectl";

/** As much of an action that Pepr knows as its webhooks depend on. */
export interface Binding {
  readonly event: string;
  readonly isMutate?: boolean;
  readonly isValidate?: boolean;
  readonly kind: { readonly kind: string; readonly group: string; readonly version?: string; readonly plural?: string };
}

/** Where admission requests go, and about what. */
export interface AdmissionTarget {
  /** What the webhook configurations are called. */
  readonly name: string;
  /** Only what is in this namespace is asked about. */
  readonly namespace: string;
  /** Base URL of Pepr's server, reachable from the API server. */
  readonly url: string;
  /** Pepr's secret part of the path. */
  readonly apiPath: string;
  /** PEM text of the authority that signed its certificate. */
  readonly authority: string;
}

const KINDS = { mutate: "MutatingWebhookConfiguration", validate: "ValidatingWebhookConfiguration" } as const;

/** The webhook configurations that Pepr makes for these actions, with a module beside the API server for a Service. */
export function webhookConfigurations(bindings: readonly Binding[], target: AdmissionTarget): object[] {
  return (["mutate", "validate"] as const).flatMap(action => {
    const rules = bindings
      .filter(({ isMutate, isValidate }) => (action === "mutate" ? isMutate : isValidate) === true)
      .map(({ event, kind }) => ({
        apiGroups: [kind.group],
        apiVersions: [kind.version ?? "*"],
        operations: event === "CREATEORUPDATE" ? ["CREATE", "UPDATE"] : [event],
        resources: [kind.plural ?? `${kind.kind.toLowerCase()}s`],
      }));
    if (rules.length === 0) return [];
    const webhook = {
      name: `${target.name}.pepr.dev`,
      admissionReviewVersions: ["v1"],
      clientConfig: {
        url: `${target.url}/${action}/${target.apiPath}`,
        caBundle: Buffer.from(target.authority).toString("base64"),
      },
      // As the module is installed: what it cannot be asked about is let through.
      failurePolicy: "Ignore",
      namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": target.namespace } },
      rules,
      sideEffects: "None",
    };
    return [
      {
        apiVersion: "admissionregistration.k8s.io/v1",
        kind: KINDS[action],
        metadata: { name: target.name },
        webhooks: [webhook],
      },
    ];
  });
}

/** Has the API server ask a module. @returns takes back what it made, and only that */
export async function registerAdmission(
  kubectl: Kubectl,
  bindings: readonly Binding[],
  target: AdmissionTarget,
): Promise<() => Promise<void>> {
  const list = JSON.stringify({ apiVersion: "v1", kind: "List", items: webhookConfigurations(bindings, target) });
  await kubectl(["create", "-f", "-"], list);
  return async () => {
    await kubectl(["delete", "--ignore-not-found", "-f", "-"], list);
  };
}
