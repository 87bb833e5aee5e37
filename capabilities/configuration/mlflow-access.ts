import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { SERVICE_ACCOUNT_TOKEN_FILE } from "../kubernetes/installation-id";
import type { MlflowAccess, MlflowProxy } from "../mlflow/access";
import { messageOf } from "../observability/logging";
import { PROXY_VARIABLES, proxyFor } from "./mlflow-proxy";
import { collect, SETTINGS_PREFIX, SettingsError } from "./settings";
import type { SettingsProblem, Variables } from "./settings";

const NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/** MLflow's own names. */
const USERNAME = "MLFLOW_TRACKING_USERNAME";
const PASSWORD = "MLFLOW_TRACKING_PASSWORD";
const TOKEN = "MLFLOW_TRACKING_TOKEN";
const PLUGIN = "MLFLOW_TRACKING_AUTH";
const CERTIFICATES = "MLFLOW_TRACKING_SERVER_CERT_PATH";
const CLIENT_CERTIFICATE = "MLFLOW_TRACKING_CLIENT_CERT_PATH";
const TRACKING_URI = `${SETTINGS_PREFIX}MLFLOW_TRACKING_URI`;
const WORKSPACE = "MLFLOW_WORKSPACE";
const INSECURE = "MLFLOW_TRACKING_INSECURE_TLS";
const TOKEN_FILE = `${SETTINGS_PREFIX}MLFLOW_TRACKING_TOKEN_FILE`;

/** The variables that may come from a Secret. */
export const CREDENTIALS: readonly string[] = [USERNAME, PASSWORD, TOKEN, ...PROXY_VARIABLES];

/** Plug-ins of MLflow's client that send the pod's own token (mlflow/tracking/request_auth/kubernetes_request_auth_provider.py). */
const KUBERNETES_PLUGINS: ReadonlySet<string> = new Set(["kubernetes", "kubernetes-namespaced"]);

/** Whether an MLFLOW_TRACKING_AUTH says what is done here. */
export function isKubernetesAuth(plugin: string | undefined): boolean {
  return KUBERNETES_PLUGINS.has(plugin ?? "");
}

/**
 * How MLflow is called, from MLflow's own variables as its Python client reads them (mlflow/utils/rest_utils.py): user and
 * password win over the token, and both over a plug-in. Files are read anew at each call.
 *
 * @param read a file's text; throws when it cannot be read
 * @throws SettingsError with all that cannot be used
 */
export function readMlflowAccess(
  variables: Variables,
  read: (file: string) => string = file => readFileSync(file, "utf8"),
): MlflowAccess {
  const problems: SettingsProblem[] = [];
  const problem = (name: string, message: string): void => {
    problems.push({ name, value: undefined, message });
  };
  const textOf = (name: string, file: string | undefined, what: string): string | undefined => {
    if (!file) return undefined;
    try {
      return read(file);
    } catch (error) {
      problem(name, `cannot be used: ${messageOf(error)}; give the path of a file with ${what}`);
      return undefined;
    }
  };

  const { [USERNAME]: user, [PASSWORD]: password, [TOKEN]: token, [TOKEN_FILE]: tokenFile } = variables;
  for (const name of [USERNAME, PASSWORD]) {
    if (/[\r\n]/.test(variables[name] ?? ""))
      problem(name, "has a line end, which belongs to no name or password; take it out");
  }
  if (user?.includes(":"))
    problem(USERNAME, "has a colon, which ends the name where MLflow reads it; use another account");
  const bearer = (name: string, value: string | undefined): string | undefined => {
    if (value === undefined) return undefined;
    if (/^[\x21-\x7e]+$/.test(value)) return `Bearer ${value}`;
    const wrong = value === "" ? "is empty" : "has a space, a line end or another character that no token has";
    problem(name, `${wrong}; give the token alone`);
    return undefined;
  };
  const fromFile = (name: string, file: string | undefined): string | undefined =>
    // A file's last line ends with a line end.
    bearer(name, textOf(name, file, "a token")?.trim());
  const authorization =
    (user && password ? `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` : undefined) ??
    (token ? bearer(TOKEN, token) : undefined) ??
    fromFile(TOKEN_FILE, tokenFile) ??
    (isKubernetesAuth(variables[PLUGIN]) ? fromFile(PLUGIN, SERVICE_ACCOUNT_TOKEN_FILE) : undefined);

  // MLflow's client takes no half of the two either, and calls without any credentials then.
  if (authorization === undefined && problems.length === 0 && !user !== !password && !hasUser(variables[TRACKING_URI]))
    problem(user ? PASSWORD : USERNAME, `is not set, and ${user ? USERNAME : PASSWORD} is; they go together`);

  const named = variables[WORKSPACE]?.trim() ?? "";
  const workspace = named === "" ? namespaceAsWorkspace(variables[PLUGIN], read) : named;
  if (workspace !== undefined && !/^[\x21-\x7e]+$/.test(workspace))
    problem(WORKSPACE, "is not a name of a workspace; MLflow's have no spaces");

  const insecure = /^(true|1)$/i.test(variables[INSECURE] ?? "");
  if (!/^(true|false|1|0|)$/i.test(variables[INSECURE] ?? "")) problem(INSECURE, "is neither true nor false; give one");
  const { [CERTIFICATES]: certificatesFile, [CLIENT_CERTIFICATE]: clientFile } = variables;
  // MLflow's client refuses the two together as well.
  if (certificatesFile && insecure) problem(CERTIFICATES, `and ${INSECURE}=true contradict each other; leave one out`);
  const certificates = textOf(CERTIFICATES, certificatesFile, "certificates (PEM)");
  const clientCertificate = textOf(CLIENT_CERTIFICATE, clientFile, "a certificate and its key (PEM)");
  const check = (name: string, text: string | undefined, problemOf: (text: string) => string | undefined): void => {
    const message = text === undefined ? undefined : problemOf(text);
    if (message !== undefined) problem(name, message);
  };
  check(CERTIFICATES, certificates, certificatesProblem);
  check(CLIENT_CERTIFICATE, clientCertificate, clientCertificateProblem);
  const proxy = proxyOf(variables, problems);
  if (problems.length > 0) throw new SettingsError(problems);
  return { authorization, workspace, tls: { certificates, clientCertificate, insecure }, proxy };
}

function proxyOf(variables: Variables, problems: SettingsProblem[]): MlflowProxy | undefined {
  const trackingUri = variables[TRACKING_URI] ?? "";
  // What is wrong with the address is told of where it is read.
  if (!URL.canParse(trackingUri)) return undefined;
  return collect(problems, () => proxyFor(new URL(trackingUri), variables));
}

/** Whether an address has a user in it. */
function hasUser(address = ""): boolean {
  return URL.canParse(address) && new URL(address).username !== "";
}

/** What MLflow's client takes for the workspace with this plug-in: the pod's own namespace. */
function namespaceAsWorkspace(plugin: string | undefined, read: (file: string) => string): string | undefined {
  if (plugin !== "kubernetes-namespaced") return undefined;
  try {
    return read(NAMESPACE_FILE).trim();
  } catch {
    // Outside a pod; that there is no token either is told of.
    return undefined;
  }
}

/** Node takes a text without any certificate for one that trusts nobody, and says so at the first call only. */
function certificatesProblem(text: string): string | undefined {
  const found = text.match(/-----BEGIN (TRUSTED )?CERTIFICATE-----.*?-----END (TRUSTED )?CERTIFICATE-----/gs) ?? [];
  if (found.length === 0) return "names a file without a certificate; give one with certificates (PEM)";
  try {
    for (const certificate of found) new X509Certificate(certificate);
    return undefined;
  } catch (error) {
    return `names a file with a certificate that cannot be read (${messageOf(error)}); give one with certificates (PEM)`;
  }
}

function clientCertificateProblem(text: string): string | undefined {
  // Node takes an empty text for none at all.
  if (text.trim() === "") return "names an empty file; give one with a certificate and its key (PEM)";
  try {
    createSecureContext({ cert: text, key: text });
    return undefined;
  } catch (error) {
    return `names a file that cannot be used (${messageOf(error)}); give one with a certificate and its key, without a passphrase (PEM)`;
  }
}
