import { z } from "zod";
import { parseQuantity } from "./quantity";

/** Every setting of the module is an environment variable with this prefix. */
export const SETTINGS_PREFIX = "MLFLOW_KSERVE_";

const EMPTY_IS_UNSET = (value: unknown): unknown => (value === "" ? undefined : value);

function text(check: z.ZodType<string, string> = z.string()): z.ZodType<string> {
  return z.preprocess(EMPTY_IS_UNSET, check);
}

function optionalText(check: z.ZodType<string, string> = z.string()): z.ZodType<string | undefined> {
  return z.preprocess(EMPTY_IS_UNSET, check.optional());
}

function withDefault<T>(check: z.ZodType<T, string>, standard: string): z.ZodType<T> {
  return z.preprocess(value => (value === undefined || value === "" ? standard : value), check);
}

const required = (cure: string) => ({ error: (issue: { input?: unknown }) => (issue.input === undefined ? cure : "") });

const httpUrl = (cure: string) =>
  z.string(required(`is not set; ${cure}`)).refine(
    value => {
      if (!URL.canParse(value)) return false;
      const { protocol, hash } = new URL(value);
      return (protocol === "http:" || protocol === "https:") && hash === "";
    },
    { error: `is not an http:// or https:// URL; ${cure}` },
  );

const dnsLabel = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, {
  error: "is not a DNS label; use at most 63 lower-case letters, digits and dashes",
});

function wholeNumber(minimum: number, maximum: number, what: string): z.ZodType<number, string> {
  const cure = `must be ${what} from ${minimum} to ${maximum}`;
  return z
    .string()
    .regex(/^\d{1,9}$/, { error: cure })
    .transform(Number)
    .refine(value => value >= minimum && value <= maximum, { error: cure });
}

const flag: z.ZodType<boolean, string> = z
  .string()
  .regex(/^(true|false|1|0|yes|no|on|off)$/i, { error: "must be true or false" })
  .transform(value => /^(true|1|yes|on)$/i.test(value));

const quantity = z.string().refine(value => (parseQuantity(value) ?? -1) > 0, {
  error: "is not a positive Kubernetes quantity; write it like 500m, 2, 512Mi or 4Gi",
});

const logLevel = z
  .string()
  .transform(value => value.toLowerCase())
  .pipe(z.enum(["debug", "info", "warning", "warn", "error"], { error: "must be DEBUG, INFO, WARNING or ERROR" }))
  .transform((level): "debug" | "info" | "warn" | "error" => (level === "warning" ? "warn" : level));

interface SettingField<T> {
  readonly schema: z.ZodType<T>;
  /** One line for the documentation table. */
  readonly description: string;
  /** The default as a user would write it. */
  readonly standard?: string;
  /** The value may never be shown. */
  readonly secret?: true;
}

function field<T>(schema: z.ZodType<T>, about: Omit<SettingField<T>, "schema">): SettingField<T> {
  return { schema, ...about };
}

/**
 * All settings, the single source of their parsing, defaults and documentation (docs/settings.md is made from it). Keys
 * are the names without {@link SETTINGS_PREFIX}.
 */
export const settingFields = {
  MLFLOW_TRACKING_URI: field(text(httpUrl("give the base URL of the MLflow server, like https://mlflow.example.com")), {
    description: "Base URL of the MLflow tracking server. Required.",
  }),
  MLFLOW_WEBHOOK_SECRET: field(optionalText(), {
    description: "Secret that MLflow signs its deliveries with. Required unless DISABLE_WEBHOOKS is true.",
    secret: true,
  }),
  MLFLOW_WEBHOOK_URL: field(
    optionalText(httpUrl("give the URL at which MLflow reaches this module, ending in /webhook")),
    {
      description:
        "URL at which MLflow reaches this module. When set, the module registers its webhook in MLflow at start; when not, the webhook must be registered by hand.",
    },
  ),
  MLFLOW_WEBHOOK_NAME: field(
    withDefault(z.string().max(256, { error: "is longer than 256 characters" }), "mlflow-kserve"),
    {
      description: "Name of the webhook in MLflow.",
      standard: "mlflow-kserve",
    },
  ),
  APP_HOST: field(withDefault(z.string(), "0.0.0.0"), {
    description: "Address that the endpoint listens on.",
    standard: "0.0.0.0",
  }),
  APP_PORT: field(withDefault(wholeNumber(0, 65_535, "a TCP port"), "8000"), {
    description: "Port that the endpoint listens on; 0 takes a free one.",
    standard: "8000",
  }),
  KUBE_NAMESPACE: field(withDefault(dnsLabel, "kserve-mlflow-models"), {
    description: "Namespace of the InferenceServices. It must exist.",
    standard: "kserve-mlflow-models",
  }),
  INFERENCE_SERVICE_TEMPLATE: field(optionalText(), {
    description: "InferenceService template: path of a file, or the YAML itself. The built-in one when not set.",
  }),
  STORAGE_URI_BASE: field(optionalText(), {
    description:
      "Where MLflow's artifact proxy keeps its artifacts (the server's --artifacts-destination), for versions whose source is mlflow-artifacts:/….",
  }),
  PREDICTOR_CPU_REQUEST: field(withDefault(quantity, "100m"), {
    description: "CPU request of a predictor.",
    standard: "100m",
  }),
  PREDICTOR_CPU_LIMIT: field(withDefault(quantity, "1"), { description: "CPU limit of a predictor.", standard: "1" }),
  PREDICTOR_MEMORY_REQUEST: field(withDefault(quantity, "512Mi"), {
    description: "Memory request of a predictor.",
    standard: "512Mi",
  }),
  PREDICTOR_MEMORY_LIMIT: field(withDefault(quantity, "2Gi"), {
    description: "Memory limit of a predictor.",
    standard: "2Gi",
  }),
  LOG_LEVEL: field(withDefault(logLevel, "INFO"), {
    description: "DEBUG, INFO, WARNING or ERROR.",
    standard: "INFO",
  }),
  DISABLE_WEBHOOKS: field(withDefault(flag, "false"), {
    description: "true: no endpoint for deliveries; the poll alone does the work.",
    standard: "false",
  }),
  POLLING_INTERVAL: field(withDefault(wholeNumber(10, 86_400, "a whole number of seconds"), "60"), {
    description: "Seconds between two polls of MLflow.",
    standard: "60",
  }),
  DEPLOY_TAG_KEY: field(
    withDefault(
      z.string().regex(/^[^"'`\\]{1,250}$/, { error: "must be 1 to 250 characters without quotes and backslashes" }),
      "deploy",
    ),
    { description: "Key of the model version tag that deploys.", standard: "deploy" },
  ),
} as const;

type SettingName = keyof typeof settingFields;

/** All settings, checked. Keys are their names without prefix; see docs/settings.md for meanings, units and defaults. */
export type Settings = { readonly [Name in SettingName]: z.output<(typeof settingFields)[Name]["schema"]> } & {
  /** How to authenticate against MLflow; MLflow's own variable names, as its Python client reads them. */
  readonly mlflowAuthorization: string | undefined;
};

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

/**
 * Reads the settings from environment variables.
 *
 * @throws SettingsError with every problem, not only the first
 */
export function parseSettings(environment: Readonly<Record<string, string | undefined>>): Settings {
  const problems: SettingsProblem[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, { schema, secret }] of Object.entries<SettingField<unknown>>(settingFields)) {
    const given = environment[SETTINGS_PREFIX + name];
    const parsed = schema.safeParse(given);
    if (parsed.success) {
      values[name] = parsed.data;
      continue;
    }
    for (const { message } of parsed.error.issues.slice(0, 1)) {
      problems.push({
        name: SETTINGS_PREFIX + name,
        value: secret || given === undefined || given === "" ? undefined : withoutCredentials(given),
        message: message === "" ? "is invalid" : message,
      });
    }
  }
  problems.push(...combinationProblems(values));
  if (problems.length > 0) throw new SettingsError(problems);
  // Each field was parsed by the schema that its type comes from; TypeScript cannot follow that through the loop.
  return { ...values, mlflowAuthorization: mlflowAuthorization(environment) } as Settings;
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

/** The Authorization header for MLflow; user and password win over the token, as in MLflow's client (rest_utils.py). */
function mlflowAuthorization(environment: Readonly<Record<string, string | undefined>>): string | undefined {
  const {
    MLFLOW_TRACKING_USERNAME: user,
    MLFLOW_TRACKING_PASSWORD: password,
    MLFLOW_TRACKING_TOKEN: token,
  } = environment;
  if (user && password) return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
  return token ? `Bearer ${token}` : undefined;
}

/**
 * A URL may carry a password before its host, or a signature behind it; neither may reach a log. What is shown here is no
 * valid URL (a password with a slash makes it so), so all that could be either goes.
 */
export function withoutCredentials(value: string): string {
  return value.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, "$1***@").replace(/\?.*$/s, "?***");
}
