import { isModelVersionNumber, type ModelVersionKey } from "../support/model-version-key";
import { inferenceServiceName, InferenceServiceNameError, looksHashed, shortHash } from "./names";

/** The label that says who looks after an object; with {@link MANAGED_BY} as its value, it is ours. */
export const MANAGED_BY_LABEL = "managed-by";
/** The value of {@link MANAGED_BY_LABEL} on the objects of this listener; also its field manager in server-side apply. */
export const MANAGED_BY = "mlflow-kserve-webhook-listener";

/** Label (made valid) and annotation (in full): the registered model's name. */
const MODEL_KEY = "mlflow.model";
/** Label and annotation: the version number. */
const VERSION_KEY = "mlflow.version";
/** Label (made valid) and annotation (in full): the run that made the model, when there is one. */
const RUN_ID_KEY = "mlflow.run-id";
/** Annotation: the experiment of that run. */
const EXPERIMENT_ID_KEY = "mlflow.experiment-id";
/** Annotation: the version's `source` as MLflow has it. */
const SOURCE_KEY = "mlflow.source";

/** All keys that are ours, in labels and annotations alike: a template cannot give them values of its own. */
export const IDENTITY_KEYS: readonly string[] = [
  MANAGED_BY_LABEL,
  MODEL_KEY,
  VERSION_KEY,
  RUN_ID_KEY,
  EXPERIMENT_ID_KEY,
  SOURCE_KEY,
];

/** What is known in MLflow about a version that is served. A missing or empty text means that there is none. */
export interface DeployedModelVersion extends ModelVersionKey {
  readonly runId?: string | undefined;
  readonly experimentId?: string | undefined;
  readonly source?: string | undefined;
}

/** The part of an object's metadata that says whose it is. */
export interface IdentityMetadata {
  readonly name?: string | undefined;
  readonly namespace?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

// https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
const LABEL_VALUE = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const LABEL_VALUE_LENGTH = 63;

// All annotations of an object may have 256 KiB together. What is only told for information must not use that up.
const INFORMATION_BYTES = 32 * 1024;

/**
 * The labels of a version's InferenceService: who manages it, model, version and run. They are for selecting
 * (`kubectl get isvc -l mlflow.model=iris`); a value that is no label value is cut, cleaned and given a hash, so that
 * different originals keep different values (see {@link labelValue}). The originals are in {@link identityAnnotations}.
 */
export function identityLabels(deployment: DeployedModelVersion): Record<string, string> {
  const { model, version, runId } = deployment;
  return {
    [MANAGED_BY_LABEL]: MANAGED_BY,
    [MODEL_KEY]: labelValue(model),
    // A version of ten digits would read like a hash to labelValue, and a version is valid as it is.
    [VERSION_KEY]: isModelVersionNumber(version) ? version : labelValue(version),
    ...(runId ? { [RUN_ID_KEY]: labelValue(runId) } : {}),
  };
}

/**
 * The full originals behind the labels, plus experiment and source where known. Kubernetes stores UTF-8, in which a lone
 * surrogate has no form (the API server would make U+FFFD of it): a text with one is written as JSON, quotes and escapes
 * included. {@link keyOf} reads both forms. Run, experiment and source are left out when over 32 KiB, so that they
 * cannot push the annotations over Kubernetes' 256 KiB.
 */
export function identityAnnotations(deployment: DeployedModelVersion): Record<string, string> {
  const { model, version, runId, experimentId, source } = deployment;
  return {
    [MODEL_KEY]: storable(model),
    [VERSION_KEY]: storable(version),
    ...information(RUN_ID_KEY, runId),
    ...information(EXPERIMENT_ID_KEY, experimentId),
    ...information(SOURCE_KEY, source),
  };
}

/**
 * A valid label value for any text. A text that is one stays as it is; any other becomes what is left of it plus a
 * hash, so that different texts have different values (as certain as names are, see names.ts). A valid text that ends
 * like such a hash gets one too.
 */
export function labelValue(text: string): string {
  if (LABEL_VALUE.test(text) && text.length <= LABEL_VALUE_LENGTH && !looksHashed(text)) return text;
  const hash = shortHash(text);
  const remains = text
    .replace(/[^-A-Za-z0-9_.]+/g, "-")
    .replace(/^[-_.]+/, "")
    .slice(0, LABEL_VALUE_LENGTH - hash.length - 1)
    .replace(/[-_.]+$/, "");
  return remains === "" ? hash : `${remains}-${hash}`;
}

/** Whether an object carries our label. It can still be that somebody put the label on an object of theirs: see keyOf. */
export function isManaged(metadata: IdentityMetadata): boolean {
  return metadata.labels?.[MANAGED_BY_LABEL] === MANAGED_BY;
}

/**
 * The model version that an object of ours serves, or undefined if the object is not, beyond doubt, one that we made:
 * it needs our label, the annotations, **and** the very name that they lead to. So neither a label that somebody put on a
 * foreign object, nor annotations copied to another object or changed by hand, make us change or delete it.
 */
export function keyOf(metadata: IdentityMetadata): ModelVersionKey | undefined {
  const { name, namespace, annotations } = metadata;
  const model = annotations?.[MODEL_KEY];
  const version = annotations?.[VERSION_KEY];
  if (!isManaged(metadata) || name === undefined || namespace === undefined) return undefined;
  if (typeof model !== "string" || typeof version !== "string") return undefined;
  // The name decides between the text itself and the text as JSON: its hash is over the original.
  return [model, fromJson(model)]
    .filter(candidate => candidate !== undefined)
    .map(candidate => ({ model: candidate, version }))
    .find(key => nameOrUndefined(key, namespace) === name);
}

function nameOrUndefined(key: ModelVersionKey, namespace: string): string | undefined {
  try {
    return inferenceServiceName(key, namespace);
  } catch (error) {
    if (error instanceof InferenceServiceNameError) return undefined;
    throw error;
  }
}

function information(key: string, value: string | undefined): Record<string, string> {
  if (!value) return {};
  const stored = storable(value);
  return Buffer.byteLength(stored) > INFORMATION_BYTES ? {} : { [key]: stored };
}

function storable(text: string): string {
  return isWellFormed(text) ? text : JSON.stringify(text);
}

function fromJson(text: string): string | undefined {
  if (!text.startsWith('"')) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "string" && !isWellFormed(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}
