import { describe, expect, it } from "vitest";
import * as z from "zod";
import { passwordIsNotShown, settingsAreTakenOrRefused } from "../../test/fuzz/properties/settings";
import { thrownBy } from "../../test/support/unit/outcomes";
import { settingsSchema } from "./setting-fields";
import { parseSettings, SETTINGS_PREFIX, SettingsError, unknownSettings, withoutCredentials } from "./settings";

const REQUIRED = { MLFLOW_TRACKING_URI: "http://mlflow:5000", MLFLOW_WEBHOOK_SECRET: "geheim, und lang genug" };

function environment(settings: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [SETTINGS_PREFIX + name, value]));
}

function parse(settings: Readonly<Record<string, string>> = {}): ReturnType<typeof parseSettings> {
  return parseSettings(environment({ ...REQUIRED, ...settings }));
}

function problemsOf(settings: Readonly<Record<string, string>>): string[] {
  const error = thrownBy(() => parse(settings));
  expect(error).toBeInstanceOf(SettingsError);
  return error.message.split("\n").slice(1);
}

describe("parseSettings", () => {
  it("needs only MLflow's address and the secret", () => {
    expect(parse()).toEqual({
      MLFLOW_TRACKING_URI: "http://mlflow:5000",
      MLFLOW_WEBHOOK_SECRET: "geheim, und lang genug",
      MLFLOW_WEBHOOK_URL: undefined,
      MLFLOW_WEBHOOK_NAME: "mlflow-kserve",
      MLFLOW_WEBHOOK_CACHE_TTL: 60,
      WEBHOOK_PODS_URL: undefined,
      APP_HOST: undefined,
      APP_PORT: 8000,
      KUBE_NAMESPACE: "kserve-mlflow-models",
      FORMER_NAMESPACES: [],
      FORMER_NAMESPACE_SERVICES: "keep",
      INFERENCE_SERVICE_TEMPLATE: undefined,
      STORAGE_URI_BASE: undefined,
      PREDICTOR_CPU_REQUEST: "100m",
      PREDICTOR_CPU_LIMIT: "1",
      PREDICTOR_MEMORY_REQUEST: "512Mi",
      PREDICTOR_MEMORY_LIMIT: "2Gi",
      LOG_LEVEL: "info",
      DISABLE_WEBHOOKS: false,
      WEBHOOK_STARTUP_TIMEOUT: 30,
      WEBHOOK_STARTUP_RETRIES: 2,
      ENABLE_POLLING_FALLBACK: true,
      POLLING_INTERVAL: 60,
      DELETION_GUARD_PERCENT: 50,
      DELETION_GUARD_COUNT: 5,
      DELETION_HOLD_MINUTES: 30,
      HANDOVER_MINUTES: 10,
      STATUS_TAGS: true,
      STATUS_TAG_PREFIX: "serving",
      SERVING_URL: "auto",
      KSERVE_NAMESPACE: "kserve",
      ROLLOUT_MAX_UNAVAILABLE: 2,
      ROLLOUT_DEADLINE_MINUTES: 15,
      ROLLOUT_DRY_RUN: false,
      ADOPT_SERVICES: true,
      DEPLOY_TAG_KEY: "deploy",
      FORMER_CHAMPION_MINUTES: 5,
      CHAMPION_ALIAS: "champion",
      CHALLENGER_ALIAS: "challenger",
    });
  });

  it("takes an empty variable for one that is not set", () => {
    const empty = Object.fromEntries(Object.keys(settingsSchema.shape).map(name => [name, ""]));
    expect(parse({ ...empty, ...REQUIRED })).toEqual(parse());
  });

  it("documents the defaults that it uses", () => {
    const { properties = {} } = z.toJSONSchema(settingsSchema, { io: "input" });
    const standards = Object.entries(properties).flatMap(([name, property]) =>
      typeof property === "object" && typeof property.default === "string" ? [[name, property.default] as const] : [],
    );
    expect(standards.length).toBeGreaterThan(10);
    expect(parse(Object.fromEntries(standards))).toEqual(parse());
  });

  it("describes every setting", () => {
    for (const [name, schema] of Object.entries<z.ZodType>(settingsSchema.shape)) {
      expect(schema.meta()?.description, name).toMatch(/\.$/);
    }
  });

  it("lists all problems at once, each with name, value and cure", () => {
    const error = thrownBy(() =>
      parseSettings(
        environment({
          KUBE_NAMESPACE: "Models",
          APP_PORT: "http",
          PREDICTOR_CPU_REQUEST: "2",
          PREDICTOR_MEMORY_LIMIT: "lots",
        }),
      ),
    );
    expect(error.message.split("\n")).toEqual([
      "6 settings are invalid:",
      "  MLFLOW_KSERVE_MLFLOW_TRACKING_URI is not set; give the base URL of the MLflow server, like https://mlflow.example.com",
      '  MLFLOW_KSERVE_APP_PORT="http" must be a TCP port from 0 to 65535',
      '  MLFLOW_KSERVE_KUBE_NAMESPACE="Models" is not a DNS label; use at most 63 lower-case letters, digits and dashes',
      '  MLFLOW_KSERVE_PREDICTOR_MEMORY_LIMIT="lots" is not a positive Kubernetes quantity; write it like 500m, 2, 512Mi or 4Gi',
      "  MLFLOW_KSERVE_MLFLOW_WEBHOOK_SECRET is not set; give the secret of the webhook in MLflow, or set MLFLOW_KSERVE_DISABLE_WEBHOOKS=true to work by polling alone",
      '  MLFLOW_KSERVE_PREDICTOR_CPU_REQUEST="2" is more than MLFLOW_KSERVE_PREDICTOR_CPU_LIMIT="1"; lower it or raise the limit',
    ]);
  });

  it.each([
    ["MLFLOW_TRACKING_URI", "mlflow:5000", "is not an http:// or https:// URL; give the base URL of the MLflow server"],
    ["MLFLOW_TRACKING_URI", "databricks", "is not an http:// or https:// URL"],
    ["MLFLOW_WEBHOOK_URL", "ftp://me/webhook", "give the URL at which MLflow reaches this module, ending in /webhook"],
    ["MLFLOW_WEBHOOK_URL", "http://me/webhook#there", "is not an http:// or https:// URL"],
    ["WEBHOOK_PODS_URL", "mlflow-kserve-operations", "give the URL of the pods that take deliveries, like http://"],
    ["MLFLOW_WEBHOOK_NAME", "n".repeat(64), "is no webhook name; use at most 63 letters"],
    ["APP_PORT", "65536", "must be a TCP port from 0 to 65535"],
    ["APP_PORT", "3000", "is the port of Pepr's own server, in the same container; take another one"],
    ["OPERATIONS_PORT", "3000", "is the port of Pepr's own server, in the same container; take another one, like 8081"],
    ["OPERATIONS_PORT", "8000", "is APP_PORT as well; take another one, like 8081, or leave it out"],
    ["OPERATIONS_PORT", "http", "must be a TCP port from 0 to 65535"],
    ["APP_PORT", "-1", "must be a TCP port from 0 to 65535"],
    ["APP_PORT", "80.5", "must be a TCP port from 0 to 65535"],
    ["KUBE_NAMESPACE", "a_b", "is not a DNS label"],
    ["KUBE_NAMESPACE", "-a", "is not a DNS label"],
    ["KUBE_NAMESPACE", "a".repeat(64), "at most 63"],
    ["FORMER_NAMESPACES", "old, Older", "must be names of namespaces, separated by commas"],
    ["FORMER_NAMESPACES", "old,kserve-mlflow-models", "names KUBE_NAMESPACE, whose services are looked after as ever"],
    ["FORMER_NAMESPACE_SERVICES", "delete", "must be keep, move or remove"],
    ["PREDICTOR_CPU_REQUEST", "0", "is not a positive Kubernetes quantity"],
    ["PREDICTOR_CPU_REQUEST", "-1", "is not a positive Kubernetes quantity"],
    ["PREDICTOR_CPU_REQUEST", "1001m", 'is more than MLFLOW_KSERVE_PREDICTOR_CPU_LIMIT="1"'],
    ["PREDICTOR_MEMORY_REQUEST", "2.1Gi", 'is more than MLFLOW_KSERVE_PREDICTOR_MEMORY_LIMIT="2Gi"'],
    ["LOG_LEVEL", "TRACE", "must be DEBUG, INFO, WARNING or ERROR"],
    ["DISABLE_WEBHOOKS", "perhaps", "must be true or false"],
    ["POLLING_INTERVAL", "9", "must be a whole number of seconds from 10 to 86400"],
    ["POLLING_INTERVAL", "60s", "must be a whole number of seconds from 10 to 86400"],
    ["DELETION_HOLD_MINUTES", "0x10", "must be a number of minutes from 0 to 525600"],
    ["HANDOVER_MINUTES", "-1", "must be a number of minutes"],
    ["STATUS_TAG_PREFIX", ".hidden", "must be 1 to 100 letters"],
    ["STATUS_TAG_PREFIX", "deploy", "leads to the key that is DEPLOY_TAG_KEY as well"],
    ["SERVING_URL", "outside", "is neither auto, external nor internal"],
    ["SERVING_URL", "https://models.example.com/{{model}}", "is neither auto, external nor internal"],
    ["DEPLOY_TAG_KEY", "it's", "must be 1 to 250 characters without quotes and backslashes"],
    ["DEPLOY_TAG_KEY", "a`b", "without quotes"],
  ])("refuses %s=%s", (name, value, message) => {
    const problems = problemsOf({ [name]: value });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(`${name}=${JSON.stringify(value)} `);
    expect(problems[0]).toContain(message);
  });

  it.each([
    ["DISABLE_WEBHOOKS", "TRUE", true],
    ["DISABLE_WEBHOOKS", "0", false],
    ["LOG_LEVEL", "WARNING", "warn"],
    ["LOG_LEVEL", "debug", "debug"],
    ["APP_PORT", "0", 0],
    ["OPERATIONS_PORT", "8081", 8081],
    ["OPERATIONS_PORT", "", undefined],
    ["DELETION_HOLD_MINUTES", "0.5", 0.5],
    ["FORMER_NAMESPACE_SERVICES", "Move", "move"],
    ["PREDICTOR_CPU_REQUEST", "1000m", "1000m"],
    ["PREDICTOR_MEMORY_REQUEST", "2048Mi", "2048Mi"],
    ["DEPLOY_TAG_KEY", "team.deploy to/prod", "team.deploy to/prod"],
  ] as const)("reads %s=%s", (name, value, expected) => {
    expect(parse({ [name]: value })[name]).toBe(expected);
  });

  it("needs no secret when webhooks are disabled", () => {
    expect(parse({ MLFLOW_WEBHOOK_SECRET: "", DISABLE_WEBHOOKS: "true" }).MLFLOW_WEBHOOK_SECRET).toBeUndefined();
  });

  it(settingsAreTakenOrRefused.name, () => settingsAreTakenOrRefused.assert({ numRuns: 100 }));
});

describe("secrets in settings", () => {
  it("never shows the webhook's secret", () => {
    expect(problemsOf({ MLFLOW_WEBHOOK_SECRET: "geheim, und lang genug", APP_PORT: "x" }).join()).not.toContain(
      "geheim",
    );
  });

  it(passwordIsNotShown.name, () => passwordIsNotShown.assert({ numRuns: 100 }));

  it.each([
    ["https://user:geheim@host:x/path", "https://***@host:x/path"],
    ["https://user:ge/heim@host", "https://***@host"],
    ["https://user:ge@heim@host", "https://***@host"],
    ["user:geheim@host", "***@host"],
    ["https://host/hook?token=geheim", "https://host/hook?***"],
    ["https://host/webhook", "https://host/webhook"],
  ])("%s is shown as %s", (value, shown) => {
    expect(withoutCredentials(value)).toBe(shown);
  });
});

describe("TLS for the endpoint", () => {
  it("needs certificate and key", () => {
    expect(problemsOf({ TLS_CERT_FILE: "/tls.crt" })).toEqual([
      "  MLFLOW_KSERVE_TLS_KEY_FILE is not set; HTTPS needs both TLS_CERT_FILE and TLS_KEY_FILE, HTTP neither",
    ]);
    expect(parse({ TLS_CERT_FILE: "/tls.crt", TLS_KEY_FILE: "/tls.key" })).toMatchObject({ TLS_KEY_FILE: "/tls.key" });
  });
});

describe("unknownSettings", () => {
  it("finds what looks like a setting, with the nearest one that is", () => {
    const variables = { MLFLOW_KSERVE_POLING_INTERVAL: "5", MLFLOW_KSERVE_POLLING_INTERVAL: "5", PATH: "/bin" };
    expect(unknownSettings(variables)).toEqual([
      { name: "MLFLOW_KSERVE_POLING_INTERVAL", nearest: "MLFLOW_KSERVE_POLLING_INTERVAL" },
    ]);
  });

  it("leaves out what Kubernetes tells every pod about our own Services", () => {
    const variables = {
      MLFLOW_KSERVE_WEBHOOK_LISTENER_SERVICE_HOST: "10.0.0.1",
      MLFLOW_KSERVE_WEBHOOK_LISTENER_SERVICE_PORT_HTTP: "80",
      MLFLOW_KSERVE_WEBHOOK_LISTENER_PORT: "tcp://10.0.0.1:80",
      MLFLOW_KSERVE_WEBHOOK_LISTENER_PORT_80_TCP_ADDR: "10.0.0.1",
      MLFLOW_KSERVE_PAGE_SERVICE_HOST: "10.0.0.2",
      MLFLOW_KSERVE_PAGE_PORT: "tcp://10.0.0.2:8081",
    };
    expect(unknownSettings(variables)).toEqual([]);
  });
});
