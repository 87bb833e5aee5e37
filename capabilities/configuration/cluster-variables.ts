import { existsSync, readFileSync } from "node:fs";
import * as z from "zod";
import { KubernetesError } from "../kubernetes/api-server";
import type { ApiServer } from "../kubernetes/api-server";
import type { Log } from "../observability/logging";
import { CREDENTIALS } from "./mlflow-access";
import { SETTINGS_PREFIX } from "./settings";
import type { SettingsProblem, Variables } from "./settings";

const CONFIG_MAP = "mlflow-kserve-config";
const SECRET = "mlflow-webhook-secret";
const SECRET_KEY = "secret";
const CREDENTIALS_SECRET = "mlflow-credentials";

export const SECRET_SETTING = `${SETTINGS_PREFIX}MLFLOW_WEBHOOK_SECRET`;
const TEMPLATE_SETTING = `${SETTINGS_PREFIX}INFERENCE_SERVICE_TEMPLATE`;

/** Pepr's namespace, where the module runs unless the pod says otherwise. */
const STANDARD_NAMESPACE = "pepr-system";
const NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

const withData = z.object({ data: z.record(z.string(), z.string()).default({}) });

/** What the module was told by environment and cluster together. */
export interface GatheredVariables {
  /** What a setting names in the cluster and is not to be had there. */
  readonly problems: readonly SettingsProblem[];
  readonly variables: Variables;
  /** Reads the webhook secret anew, when it came from the cluster; undefined when the environment has it. */
  readonly readSecret: (() => Promise<string | undefined>) | undefined;
  /** All variables with MLflow's credentials read anew from the cluster, where they may come from there. */
  readonly readAgain: () => Promise<Variables>;
}

/** The namespace that the module runs in: the pod's, or Pepr's own outside a cluster. */
export function moduleNamespace(): string {
  return existsSync(NAMESPACE_FILE) ? readFileSync(NAMESPACE_FILE, "utf8").trim() : STANDARD_NAMESPACE;
}

/**
 * Completes the environment with the ConfigMap `mlflow-kserve-config` and the Secrets `mlflow-webhook-secret` and
 * `mlflow-credentials` of a namespace, for what it does not have, and puts in the text of a template that is named as a ConfigMap's `name/key`.
 * What is empty counts as not set in either, and what may not be read as not there, with a warning.
 *
 * @throws KubernetesError when the API server cannot be reached
 */
export async function gatherVariables(
  environment: Variables,
  apiServer: ApiServer,
  namespace: string,
  log: Log,
): Promise<GatheredVariables> {
  const read = async (
    resource: "configmaps" | "secrets",
    name: string,
  ): Promise<Record<string, string> | undefined> => {
    try {
      const path = `/api/v1/namespaces/${namespace}/${resource}/${encodeURIComponent(name)}`;
      return withData.parse((await apiServer({ method: "GET", path })).body).data;
    } catch (error) {
      if (!(error instanceof KubernetesError) || (error.status !== 404 && error.status !== 403)) throw error;
      if (error.status === 403)
        log.warn({ cause: error.message }, `The ${resource} ${namespace}/${name} may not be read`);
      return undefined;
    }
  };
  const readSecret = async (): Promise<string | undefined> => decoded((await read("secrets", SECRET))?.[SECRET_KEY]);
  /** Where a part of the credentials is set elsewhere, the Secret has the rest. */
  const withCredentials = async (known: Variables): Promise<Variables> => {
    const secret = (await read("secrets", CREDENTIALS_SECRET)) ?? {};
    const found = Object.fromEntries(CREDENTIALS.map(name => [name, decoded(secret[name])]));
    return { ...known, ...withoutEmpty(found), ...withoutEmpty(known) };
  };

  const configMap = (await read("configmaps", CONFIG_MAP)) ?? {};
  const variables: Record<string, string | undefined> = { ...withoutEmpty(configMap), ...withoutEmpty(environment) };
  const fromCluster = variables[SECRET_SETTING] === undefined;
  if (fromCluster) variables[SECRET_SETTING] = await readSecret();
  const problems: SettingsProblem[] = [];
  const reference = templateReference(variables[TEMPLATE_SETTING]);
  if (reference !== undefined) {
    const data = await read("configmaps", reference.name);
    const text = data?.[reference.key];
    // A text of one line would be taken for a path.
    if (text !== undefined) variables[TEMPLATE_SETTING] = `${text}\n`;
    else problems.push(missingTemplate(reference, data, namespace));
  }
  return {
    variables: await withCredentials(variables),
    problems,
    readSecret: fromCluster ? readSecret : undefined,
    readAgain: () => withCredentials(variables),
  };
}

function decoded(base64: string | undefined): string | undefined {
  // `kubectl create secret --from-file` keeps the newline at a file's end; nobody means it.
  return base64 === undefined
    ? undefined
    : Buffer.from(base64, "base64")
        .toString("utf8")
        .replace(/\r?\n$/, "");
}

function withoutEmpty(variables: Variables): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== undefined && value !== ""));
}

/** Where a template's text is in the cluster. */
interface TemplateReference {
  /** Of a ConfigMap in the module's namespace. */
  readonly name: string;
  readonly key: string;
}

/** What a template setting of one line names that is no file but looks like `name/key`. */
function templateReference(setting: string | undefined): TemplateReference | undefined {
  const [, name, key] = /^([a-z0-9][-a-z0-9.]*)\/([-._a-zA-Z0-9]+)$/.exec(setting ?? "") ?? [];
  if (setting === undefined || name === undefined || key === undefined || existsSync(setting)) return undefined;
  return { name, key };
}

/** @param data what the ConfigMap has; undefined when it is not there or may not be read */
function missingTemplate(
  { name, key }: TemplateReference,
  data: Readonly<Record<string, string>> | undefined,
  namespace: string,
): SettingsProblem {
  const where = `the ConfigMap ${namespace}/${name}`;
  const keys = Object.keys(data ?? {}).sort();
  const message =
    data === undefined
      ? `names ${where}, which does not exist or may not be read, nor is there such a file; create the ConfigMap with the key ${key}, or correct the setting`
      : `names the key ${key} of ${where}, which has ${keys.length === 0 ? "no keys" : `only ${keys.join(", ")}`}; add the key, or correct the setting`;
  return { name: TEMPLATE_SETTING, value: `${name}/${key}`, message };
}
