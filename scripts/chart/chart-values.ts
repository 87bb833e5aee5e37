import { readFileSync } from "node:fs";
import { dump, load } from "js-yaml";
import settingsSchema from "../../docs/settings.schema.json";
import type { Role } from "./deployment-templates";

type Values = Record<string, unknown>;

interface DeploymentPatch {
  readonly spec: {
    readonly template: {
      readonly spec: { readonly securityContext: Values; readonly containers: readonly [Values & { name: string }] };
    };
  };
}

/**
 * The chart's values: Pepr's, with the resources and probes of k8s/base. The rights are in the chart's template, and what a
 * build makes anew is no value.
 *
 * @param generated values.yaml as Pepr writes it
 * @returns the values, and the hash of the module
 */
export function completeValues(generated: string): { readonly values: Values; readonly hash: string } {
  const { hash, secrets, ...rest } = load(generated) as Values & Record<Role, Values> & { hash: string };
  if (secrets === undefined) throw new Error("Pepr's values do not have the secrets that are known here");
  const values = {
    ...rest,
    // Further rights, when there are any.
    rbac: [],
    admission: { ...rest.admission, ...ofBase("admission", rest.admission) },
    watcher: { ...rest.watcher, ...ofBase("watcher", rest.watcher) },
  };
  return { values, hash };
}

function ofBase(role: Role, generated: Values): Values {
  const patch = load(readFileSync(`k8s/base/${role}.patch.yaml`, "utf8")) as DeploymentPatch;
  const { securityContext, containers } = patch.spec.template.spec;
  const { resources, startupProbe, readinessProbe, livenessProbe } = containers[0];
  return {
    securityContext: { ...(generated.securityContext as Values), ...securityContext },
    resources,
    startupProbe,
    readinessProbe: withoutNulls(readinessProbe as Values),
    livenessProbe: withoutNulls(livenessProbe as Values),
  };
}

/** In a patch of kustomize null takes a field away. */
function withoutNulls(object: Values): Values {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null));
}

/** values.yaml: ours with its comments, then Pepr's. */
export function valuesFile(ours: string, generated: Values): string {
  return `${ours}\n# Pepr's.\n${dump(generated, { lineWidth: -1 })}`;
}

/**
 * values.schema.json, for Helm, which knows draft-07 and regular expressions of Go.
 *
 * @param ours schemas of our own values, by name
 */
export function valuesSchema(ours: Record<string, object>, generated: Values): object {
  const deployment = (name: Role): object => ({
    type: "object",
    additionalProperties: false,
    properties: propertiesOf(generated[name] as Values),
  });
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "Values of mlflow-kserve",
    type: "object",
    additionalProperties: false,
    required: ["mlflow"],
    properties: {
      global: { type: "object" },
      ...ours,
      settings: { ...ours.settings, ...settingsProperties() },
      ...propertiesOf(generated),
      admission: deployment("admission"),
      watcher: deployment("watcher"),
    },
  };
}

function propertiesOf(values: Values): Record<string, object> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { type: typeOf(value) }]));
}

function typeOf(value: unknown): string {
  if (Array.isArray(value)) return "array";
  return typeof value === "number" ? "integer" : typeof value;
}

/** All settings but the secret, and MLflow's own variables. */
function settingsProperties(): object {
  const properties: Record<string, { readonly type: string; readonly pattern?: string; readonly secret?: boolean }> =
    settingsSchema.properties;
  return {
    additionalProperties: false,
    patternProperties: { "^MLFLOW_TRACKING_[A-Z_]+$": { type: "string" } },
    properties: Object.fromEntries(
      Object.entries(properties)
        .filter(([, { secret }]) => secret !== true)
        .map(([name, { pattern, ...property }]) => [
          name,
          // Go's expressions cannot look ahead; the module checks each setting itself as well.
          pattern === undefined || pattern.includes("(?") ? property : { ...property, pattern },
        ]),
    ),
  };
}
