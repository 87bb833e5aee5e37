import { IDENTITY_KEYS, identityAnnotations, identityLabels } from "../kserve/identity";
import type { TemplateProblem } from "./template-error";
import type { JsonObject, JsonValue } from "./template-tree";
import { TEMPLATE_VARIABLES, type TemplateVariable, type TemplateVariables } from "./template-variables";

/** The API version of the objects that templates make. */
export const API_VERSION = "serving.kserve.io/v1beta1";
/** The kind of the objects that templates make. */
export const KIND = "InferenceService";

/** The metadata of a rendered InferenceService. */
export interface InferenceServiceMetadata {
  readonly name: string;
  readonly namespace: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A rendered InferenceService. Whether its spec is valid is for KServe to say. */
export interface InferenceServiceObject {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: typeof KIND;
  readonly metadata: InferenceServiceMetadata;
  readonly spec: JsonObject;
}

const FOUND_BY_NAME = "the listener finds its services by name";

/** Values for trying out a template: each different from the others and from anything a template would hold. */
export function sampleVariables(): TemplateVariables {
  const pairs = TEMPLATE_VARIABLES.map((variable): [TemplateVariable, string] => [
    variable,
    `sample-value-of-${variable.replace("_", "-")}`,
  ]);
  return Object.fromEntries(pairs) as TemplateVariables;
}

/** Collects what makes this object, rendered with sample values, no InferenceService of ours. */
export function checkTemplate(object: JsonValue, sample: TemplateVariables, problems: TemplateProblem[]) {
  const report = (cause: string, cure: string) => problems.push({ cause, cure });
  if (!isObject(object)) {
    report("the template is not a YAML mapping", `begin with apiVersion: ${API_VERSION} and kind: ${KIND}`);
    return;
  }
  if (object.apiVersion !== API_VERSION) {
    report(`apiVersion is ${show(object.apiVersion)}`, `write apiVersion: ${API_VERSION}`);
  }
  if (object.kind !== KIND) report(`kind is ${show(object.kind)}`, `write kind: ${KIND}`);
  if (!isObject(object.spec)) report(`spec is ${show(object.spec)}`, "write a mapping with the predictor under spec:");

  const metadata = object.metadata ?? {};
  if (!isObject(metadata)) {
    report(`metadata is ${show(metadata)}`, "write a mapping, or leave it out");
    return;
  }
  for (const field of ["name", "namespace"] as const) {
    const value = metadata[field] ?? sample[field];
    if (value !== sample[field]) {
      report(`metadata.${field} is ${show(value)}`, `write {{${field}}}, or leave it out: ${FOUND_BY_NAME}`);
    }
  }
  for (const field of ["labels", "annotations"] as const) checkTexts(metadata[field] ?? {}, field, sample, report);
}

/** The rendered object with what the template may leave out, and its metadata in the form that Kubernetes wants. */
export function checkObject(object: JsonValue, variables: TemplateVariables): InferenceServiceObject {
  const { metadata = {}, spec = {}, ...rest } = object as JsonObject;
  const { labels, annotations, ...other } = (metadata ?? {}) as JsonObject;
  return {
    ...rest,
    apiVersion: API_VERSION,
    kind: KIND,
    metadata: {
      ...other,
      name: String(variables.name),
      namespace: String(variables.namespace),
      ...(labels ? { labels: texts(labels) } : {}),
      ...(annotations ? { annotations: texts(annotations) } : {}),
    },
    spec: spec as JsonObject,
  };
}

function checkTexts(
  map: JsonValue,
  field: "labels" | "annotations",
  sample: TemplateVariables,
  report: (cause: string, cure: string) => void,
) {
  if (!isObject(map)) {
    report(`metadata.${field} is ${show(map)}`, "write a mapping of texts, or leave it out");
    return;
  }
  const identity = field === "labels" ? identityLabels(deployment(sample)) : identityAnnotations(deployment(sample));
  for (const [key, value] of Object.entries(map)) {
    const name = `metadata.${field}[${JSON.stringify(key)}]`;
    if (typeof value !== "string") report(`${name} is ${show(value)}`, "put the value in quotes");
    else if (IDENTITY_KEYS.includes(key) && value !== (identity[key] ?? "")) {
      report(`${name} is ${show(value)}`, "remove it: the listener writes it, to know its services again");
    }
  }
}

function deployment(variables: TemplateVariables) {
  return {
    model: String(variables.model_name),
    version: String(variables.model_version),
    runId: String(variables.run_id),
    experimentId: String(variables.experiment_id),
    source: String(variables.storage_uri),
  };
}

// A number variable without quotes is a number, which labels and annotations cannot hold.
function texts(map: JsonValue): Record<string, string> {
  return Object.fromEntries(
    Object.entries(map as JsonObject).map(([key, value]) => [
      key,
      typeof value === "string" ? value : JSON.stringify(value),
    ]),
  );
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value for a message: short, and the sample values shown as the variables they stand for. */
export function show(value: JsonValue | undefined): string {
  if (value === undefined) return "missing";
  const variables = sampleVariables();
  const shown = TEMPLATE_VARIABLES.reduce(
    (text, variable) => text.replaceAll(String(variables[variable]), `{{${variable}}}`),
    JSON.stringify(value),
  );
  return shown.length > 100 ? `${shown.slice(0, 100)}…` : shown;
}
