import { closest } from "fastest-levenshtein";
import type * as z from "zod";
import { parseQuantity } from "./quantity";
import { settingsSchema } from "./setting-fields";

/** Every setting of the module is an environment variable with this prefix. */
export const SETTINGS_PREFIX = "MLFLOW_KSERVE_";

/** Variables by name, as the environment or a ConfigMap has them. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** All settings, checked. Keys are their names without prefix; see docs/settings.md for meanings, units and defaults. */
export type Settings = z.output<typeof settingsSchema>;

/** One thing that is wrong with the settings: which, what was given (never a secret's value), and what to do. */
export interface SettingsProblem {
  readonly name: string;
  readonly value: string | undefined;
  readonly message: string;
}

/** All that is wrong with the settings, at once. Its message is a list made for a person to read. */
export class SettingsError extends Error {
  constructor(readonly problems: readonly SettingsProblem[]) {
    const lines = problems.map(({ name, value, message }) =>
      value === undefined ? `  ${name} ${message}` : `  ${name}=${JSON.stringify(value)} ${message}`,
    );
    super(`${problems.length} setting${problems.length === 1 ? " is" : "s are"} invalid:\n${lines.join("\n")}`);
    this.name = "SettingsError";
  }
}

/** What a reading gives; undefined when it throws a SettingsError, whose problems are added to those that are known. */
export function collect<T>(problems: SettingsProblem[], read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    problems.push(...error.problems);
    return undefined;
  }
}

/**
 * Reads the settings from variables. An empty one counts as not set.
 *
 * @throws SettingsError with every problem, not only the first
 */
export function parseSettings(variables: Variables): Settings {
  const problems: SettingsProblem[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries<z.ZodType>(settingsSchema.shape)) {
    const given = variables[SETTINGS_PREFIX + name] === "" ? undefined : variables[SETTINGS_PREFIX + name];
    const parsed = schema.safeParse(given);
    if (parsed.success) {
      values[name] = parsed.data;
      continue;
    }
    problems.push({
      name: SETTINGS_PREFIX + name,
      value: schema.meta()?.secret || given === undefined ? undefined : withoutCredentials(given),
      message: parsed.error.issues[0]?.message ?? "is invalid",
    });
  }
  problems.push(...combinationProblems(values));
  if (problems.length > 0) throw new SettingsError(problems);
  // Each value was parsed by the schema that its type comes from; TypeScript cannot follow that through the loop.
  return values as Settings;
}

/** Kubernetes gives every pod variables about the Services of its namespace; ours begin like our settings. */
const SERVICE_VARIABLE = /^MLFLOW_KSERVE_(WEBHOOK_LISTENER|PAGE)_(SERVICE|PORT)(_|$)/;

/** Variables that look like settings and are none, each with the setting that its writer probably meant. */
export function unknownSettings(variables: Variables): { name: string; nearest: string }[] {
  const known = Object.keys(settingsSchema.shape).map(name => SETTINGS_PREFIX + name);
  return Object.keys(variables)
    .filter(name => name.startsWith(SETTINGS_PREFIX) && !known.includes(name) && !SERVICE_VARIABLE.test(name))
    .map(name => ({ name, nearest: closest(name, known) }));
}

function combinationProblems(values: Readonly<Record<string, unknown>>): SettingsProblem[] {
  const problems: SettingsProblem[] = [];
  if (values.DISABLE_WEBHOOKS === false && values.MLFLOW_WEBHOOK_SECRET === undefined) {
    problems.push({
      name: `${SETTINGS_PREFIX}MLFLOW_WEBHOOK_SECRET`,
      value: undefined,
      message:
        "is not set; give the secret of the webhook in MLflow, or set MLFLOW_KSERVE_DISABLE_WEBHOOKS=true to work by polling alone",
    });
  }
  if ((values.TLS_CERT_FILE === undefined) !== (values.TLS_KEY_FILE === undefined)) {
    const missing = values.TLS_CERT_FILE === undefined ? "TLS_CERT_FILE" : "TLS_KEY_FILE";
    problems.push({
      name: SETTINGS_PREFIX + missing,
      value: undefined,
      message: "is not set; HTTPS needs both TLS_CERT_FILE and TLS_KEY_FILE, HTTP neither",
    });
  }
  if (values.CHAMPION_ALIAS === values.CHALLENGER_ALIAS) {
    problems.push({
      name: `${SETTINGS_PREFIX}CHALLENGER_ALIAS`,
      value: String(values.CHALLENGER_ALIAS),
      message: "is CHAMPION_ALIAS as well; an alias is on one version alone, so give the challenger another one",
    });
  }
  const { STATUS_TAG_PREFIX: prefix, DEPLOY_TAG_KEY: deployTagKey } = values;
  if (
    typeof deployTagKey === "string" &&
    [prefix, `${String(prefix)}.url`, `${String(prefix)}.cause`].includes(deployTagKey)
  ) {
    problems.push({
      name: `${SETTINGS_PREFIX}STATUS_TAG_PREFIX`,
      value: String(prefix),
      message: "leads to the key that is DEPLOY_TAG_KEY as well, which people write; take another one, like serving",
    });
  }
  const { OPERATIONS_PORT: operationsPort } = values;
  if (typeof operationsPort === "number" && operationsPort !== 0 && operationsPort === values.APP_PORT) {
    problems.push({
      name: `${SETTINGS_PREFIX}OPERATIONS_PORT`,
      value: String(operationsPort),
      message: "is APP_PORT as well; take another one, like 8081, or leave it out to have everything on APP_PORT",
    });
  }
  const former = values.FORMER_NAMESPACES;
  if (Array.isArray(former) && former.includes(values.KUBE_NAMESPACE)) {
    problems.push({
      name: `${SETTINGS_PREFIX}FORMER_NAMESPACES`,
      value: former.join(","),
      message: "names KUBE_NAMESPACE, whose services are looked after as ever; leave it out",
    });
  }
  for (const resource of ["CPU", "MEMORY"]) {
    const request = values[`PREDICTOR_${resource}_REQUEST`];
    const limit = values[`PREDICTOR_${resource}_LIMIT`];
    if (typeof request !== "string" || typeof limit !== "string") continue;
    if ((parseQuantity(request) ?? 0) > (parseQuantity(limit) ?? 0)) {
      problems.push({
        name: `${SETTINGS_PREFIX}PREDICTOR_${resource}_REQUEST`,
        value: request,
        message: `is more than MLFLOW_KSERVE_PREDICTOR_${resource}_LIMIT=${JSON.stringify(limit)}; lower it or raise the limit`,
      });
    }
  }
  return problems;
}

/**
 * A URL may carry a password before its host, or a signature behind it; neither may reach a log. What is shown here is no
 * valid URL (a password with a slash makes it so), so all that could be either goes.
 */
export function withoutCredentials(value: string): string {
  return value.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, "$1***@").replace(/\?.*$/s, "?***");
}
