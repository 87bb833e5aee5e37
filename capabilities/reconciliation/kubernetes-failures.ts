import type { KubernetesError } from "../kubernetes/api-server";
import { foreignText } from "../support/foreign-text";
import type { Failure } from "./failures";

/** The InferenceService that a request was about. */
export interface ServiceIdentity {
  readonly name: string;
  readonly namespace: string;
}

/** What a request's refusal means, when it is the one that it knows. */
type Reading = (error: KubernetesError, service: ServiceIdentity | undefined) => Failure | undefined;

const TEMPLATE_SETTING = "MLFLOW_KSERVE_INFERENCE_SERVICE_TEMPLATE";

function passing(message: string): Failure {
  return { kind: "passing", owner: "kubernetes", answer: 500, status: "kubernetes_error", message };
}

function waiting(message: string): Failure {
  return { ...passing(message), kind: "waiting" };
}

function rejected(event: Failure["event"] & string, owner: Failure["owner"], message: string): Failure {
  return { kind: "permanent", owner, answer: 422, status: "rejected", event, message };
}

/** A deletion that is not at its end, of the service or of its whole namespace: nothing can be applied before. */
const beingDeleted: Reading = ({ reason, message }) => {
  if (reason === "BeingDeleted") return waiting(message);
  const namespace = message.includes("because it is being terminated") && /in namespace (\S+)/.exec(message)?.[1];
  if (!namespace) return undefined;
  return waiting(
    `the namespace ${namespace} is being deleted, so nothing can be made in it: wait for its end and make it again, ` +
      "or set MLFLOW_KSERVE_KUBE_NAMESPACE to another",
  );
};

/**
 * An admission webhook answered. Its status is 403 unless it says otherwise; with 429 or 5xx it failed itself, and may do
 * better the next time.
 */
const deniedByWebhook: Reading = ({ status, message }, service) => {
  const denial = /^admission webhook "([^"]*)" denied the request/s.exec(message);
  if (denial === null) return undefined;
  const text = foreignText(message);
  if (status === 429 || status >= 500) return passing(`${text}; the log of what serves this webhook says why`);
  const [, before, after] = /deploymentMode cannot be changed from '(\w*)' to '(\w*)'/.exec(message) ?? [];
  if (before !== undefined) {
    const command =
      service === undefined
        ? ""
        : ` (kubectl delete inferenceservice ${service.name} --namespace ${service.namespace})`;
    return rejected(
      "RejectedByAdmission",
      "template",
      `KServe does not change the deployment mode of a service that exists, here from ${before} to ${after}: delete the ` +
        `InferenceService so that it is made anew${command}, or take the annotation serving.kserve.io/deploymentMode ` +
        "back in the template",
    );
  }
  return rejected("RejectedByAdmission", "template", `${text}; ${cureOf("what this webhook asks for")}`);
};

/** A policy of the cluster's own. Its message claims to be about rights whatever its status is, which the policy sets. */
const deniedByPolicy: Reading = ({ message }) =>
  /ValidatingAdmissionPolicy '[^']*' with binding '[^']*' denied request/.test(message)
    ? rejected("RejectedByAdmission", "template", `${foreignText(message)}; ${cureOf("what this policy asks for")}`)
    : undefined;

function cureOf(wish: string): string {
  return `give the template (${TEMPLATE_SETTING}) ${wish}, or have it changed`;
}

/** The object itself is wrong. What the CRD does not have is an internal error (500) to server-side apply. */
const invalid: Reading = ({ status, message }) => {
  const text = foreignText(message);
  // A uid that no longer fits: somebody deleted the object and made another at the same moment.
  if (status === 422 && /metadata\.uid: .*field is immutable/s.test(message)) return passing(text);
  const isUntyped = status === 500 && message.startsWith("failed to create typed patch object");
  if (!isUntyped && status !== 400 && status !== 422) return undefined;
  const more = isUntyped ? ", or install the version of KServe that has it" : "";
  return rejected("Invalid", "template", `${text}; correct the template (${TEMPLATE_SETTING})${more}`);
};

const beyondQuota: Reading = ({ status, message }) =>
  status === 403 && message.includes("exceeded quota: ")
    ? rejected(
        "QuotaExceeded",
        "kubernetes",
        `${foreignText(message)}; have the ResourceQuota raised, or take the tag from another version`,
      )
    : undefined;

/** Rights can be given while MLflow tries again. */
const withoutRight: Reading = ({ status, message }) => {
  if (status === 401) {
    return passing(
      "the API server does not accept the module's credentials (401 Unauthorized): check the ServiceAccount of its pods, " +
        "or the user in the kubeconfig",
    );
  }
  const right =
    /User "(?<user>[^"]*)" cannot (?<verb>\S+) resource "(?<resource>[^"]*)" in API group "(?<group>[^"]*)"(?: in the namespace "(?<space>[^"]*)")?/.exec(
      message,
    )?.groups;
  if (status !== 403 || right === undefined) return undefined;
  const { user = "", verb = "", resource = "", group = "", space } = right;
  const what = `${verb} ${group === "" ? resource : `${resource}.${group}`}`;
  const where = space === undefined ? "in the cluster" : `in the namespace ${space}`;
  return passing(
    `${user} has not the right to ${what} ${where}: apply the module's manifests again, which give it, or bind a role ` +
      "with it",
  );
};

/** An admission plugin of the API server's refused, but for those that are not ready yet. */
const forbidden: Reading = ({ status, message, about }) => {
  const cause = status === 403 && about.kind !== undefined && / is forbidden: (.*)$/s.exec(message)?.[1];
  if (!cause) return undefined;
  if (/^not yet ready to handle request|^status unknown for quota/.test(cause)) return passing(foreignText(message));
  return rejected("RejectedByAdmission", "template", `${foreignText(message)}; ${cureOf("what is asked for here")}`);
};

const missing: Reading = ({ status, reason, message, about }) => {
  if (status !== 404) return undefined;
  if (about.kind === "namespaces") {
    const name = about.name ?? "";
    return passing(
      `the namespace ${name} does not exist: make it (kubectl create namespace ${name}), or set ` +
        "MLFLOW_KSERVE_KUBE_NAMESPACE to one that does",
    );
  }
  if (reason !== "Unknown" || !message.includes("404 page not found")) return undefined;
  return passing(
    "the cluster has no InferenceServices (serving.kserve.io/v1beta1): install KServe, whose CRDs bring them",
  );
};

const unansweredWebhook: Reading = ({ status, message }) =>
  status === 500 && message.includes("failed calling webhook")
    ? passing(
        `${foreignText(message)}; check that what serves this webhook runs (for KServe's: its controller manager)`,
      )
    : undefined;

/** What was read first counts: a policy's text may say anything. */
const READINGS: readonly Reading[] = [
  ...[deniedByWebhook, deniedByPolicy, beingDeleted, invalid, beyondQuota],
  ...[withoutRight, forbidden, missing, unansweredWebhook],
];

/**
 * Describes what the API server refused, or that it did not answer, by status and text: it has no other form for most of
 * this. What is not recognized is taken for passing.
 */
export function describeKubernetesFailure(error: KubernetesError, service: ServiceIdentity | undefined): Failure {
  for (const read of READINGS) {
    const failure = read(error, service);
    if (failure !== undefined) return error.about.uid === undefined ? failure : { ...failure, uid: error.about.uid };
  }
  return passing(error.message);
}
