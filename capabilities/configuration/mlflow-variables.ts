import { isKubernetesAuth } from "./mlflow-access";
import { SETTINGS_PREFIX } from "./settings";
import type { Variables } from "./settings";

/** What is read of MLflow's own variables; see readMlflowAccess. */
const HONOURED: ReadonlySet<string> = new Set([
  "MLFLOW_TRACKING_USERNAME",
  "MLFLOW_TRACKING_PASSWORD",
  "MLFLOW_TRACKING_TOKEN",
  "MLFLOW_TRACKING_SERVER_CERT_PATH",
  "MLFLOW_TRACKING_CLIENT_CERT_PATH",
  "MLFLOW_TRACKING_INSECURE_TLS",
  "MLFLOW_WORKSPACE",
]);

const TRACKING_URI = `${SETTINGS_PREFIX}MLFLOW_TRACKING_URI`;
const CREDENTIALS = "give MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN";

/** What takes the place of a variable that changes whom MLflow's client calls, and how (MLflow 3.17.2, rest_utils.py). */
const INSTEAD: Readonly<Record<string, string>> = {
  MLFLOW_TRACKING_URI: `${TRACKING_URI} is what counts`,
  MLFLOW_REGISTRY_URI: `the registry is read at ${TRACKING_URI}; give its address there`,
  MLFLOW_TRACKING_AUTH: `of the plug-ins there are kubernetes and kubernetes-namespaced; ${CREDENTIALS}`,
  MLFLOW_TRACKING_AWS_SIGV4: `calls are not signed for AWS; put a proxy that signs before MLflow, and its address in ${TRACKING_URI}`,
  MLFLOW_ALLOW_HTTP_REDIRECTS: `redirects are not followed; give MLflow's final address in ${TRACKING_URI}`,
  MLFLOW_HTTP_REQUEST_TIMEOUT: "calls have deadlines of the module's own",
  // Of requests, which MLflow's client calls with.
  REQUESTS_CA_BUNDLE: "give the certificates in MLFLOW_TRACKING_SERVER_CERT_PATH",
  CURL_CA_BUNDLE: "give the certificates in MLFLOW_TRACKING_SERVER_CERT_PATH",
  MLFLOW_HTTP_REQUEST_MAX_RETRIES: "what fails is done again by the next delivery or poll",
};

/** Kubernetes gives every pod such variables about each Service of its namespace, for example one with the name mlflow. */
const SERVICE_VARIABLE = /_SERVICE_(HOST|PORT(_\w+)?)$|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$/;

/** A variable of MLflow's client, or of the requests below it, that is set and has no effect here. */
export interface IgnoredVariable {
  readonly name: string;
  /** What holds instead, or what to set; nothing where the variable does not concern calls of MLflow's API. */
  readonly instead: string | undefined;
}

/**
 * MLflow's variables that somebody set, in the belief that they are read here, and that are not. One that is switched off, or
 * says what our setting says, changes nothing.
 */
export function ignoredMlflowVariables(variables: Variables): IgnoredVariable[] {
  return Object.entries(variables)
    .filter(([name, value]) => isMlflows(name) && !HONOURED.has(name) && changesSomething(name, value, variables))
    .map(([name]) => ({ name, instead: INSTEAD[name] }))
    .sort((one, other) => one.name.localeCompare(other.name));
}

function isMlflows(name: string): boolean {
  if (name in INSTEAD) return true;
  return name.startsWith("MLFLOW_") && !name.startsWith(SETTINGS_PREFIX) && !SERVICE_VARIABLE.test(name);
}

function changesSomething(name: string, value: string | undefined, variables: Variables): boolean {
  if (value === undefined || /^(|false|0)$/i.test(value)) return false;
  if (name.endsWith("_CA_BUNDLE")) {
    return !variables.MLFLOW_TRACKING_SERVER_CERT_PATH && /^https:/i.test(variables[TRACKING_URI] ?? "");
  }
  if (name === "MLFLOW_TRACKING_AUTH" && isKubernetesAuth(value)) return false;
  return !(/^MLFLOW_(TRACKING|REGISTRY)_URI$/.test(name) && value === variables[TRACKING_URI]);
}
