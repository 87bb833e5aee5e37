import { isModelVersionNumber, type ModelVersionKey } from "../support/model-version-key";
import { MANAGEMENT_ANNOTATION } from "./management";
import { looksHashed, possibleServiceName, shortHash } from "./names";

/** The label that says who looks after an object; with {@link MANAGED_BY} as its value, it is ours. */
export const MANAGED_BY_LABEL = "managed-by";
/** The value of {@link MANAGED_BY_LABEL} on the objects of this listener; also its field manager in server-side apply. */
export const MANAGED_BY = "mlflow-kserve-webhook-listener";

/** Label (made valid) and annotation (in full): the registered model's name. */
const MODEL_KEY = "mlflow.model";
/** The label of {@link identityLabels} by which all services of a model are found. */
export const MODEL_LABEL = MODEL_KEY;
/** Label and annotation: the version number. */
const VERSION_KEY = "mlflow.version";
/** The label of {@link identityLabels} with the version number. */
export const VERSION_LABEL = VERSION_KEY;
/** Label (made valid) and annotation (in full): the run that made the model, when there is one. */
const RUN_ID_KEY = "mlflow.run-id";
/** What the listener before this module writes as the run of a version that has none, or whose run it did not find. */
const NO_RUN = "unknown";
/** Annotation: which registry the version came from, see {@link RegistryRecord}. */
const REGISTRY_KEY = "mlflow.registry";
/** Annotation: the experiment of the run, where the template asks for it. */
const EXPERIMENT_ID_KEY = "mlflow.experiment-id";
/** Annotation: the version's `source` in MLflow, from which the pods' storage URI was found. */
const SOURCE_KEY = "mlflow.source";
/** Annotation that former releases wrote. It is not written any more, and not taken away for its own sake either. */
const RENDERED_KEY = "mlflow.rendered";

/** Annotation that admission sets: the name of the account that made an InferenceService. */
export const CREATED_BY_KEY = "mlflow.created-by";

/**
 * Annotations that tell something about the object and nothing to its pods. KServe copies every annotation into the pod
 * template, so that adding, changing or removing one restarts the model server: none of it is worth that. Each is written
 * with the next change that concerns the pods anyway.
 */
export const BOOKKEEPING_ANNOTATIONS: readonly string[] = [
  MODEL_KEY,
  VERSION_KEY,
  RUN_ID_KEY,
  EXPERIMENT_ID_KEY,
  SOURCE_KEY,
  REGISTRY_KEY,
  CREATED_BY_KEY,
  RENDERED_KEY,
];

/** All keys that are ours, in labels and annotations alike: a template cannot give them values of its own. */
export const IDENTITY_KEYS: readonly string[] = [MANAGED_BY_LABEL, ...BOOKKEEPING_ANNOTATIONS, MANAGEMENT_ANNOTATION];

/** The label for which the same holds as long as an object does not name a run; with another, it is about its model. */
export const BOOKKEEPING_LABEL = RUN_ID_KEY;

/** Which registry a version came from: two times that another MLflow does not share, in Unix milliseconds, and a workspace. */
export interface RegistryRecord {
  /** When the registry was made: the creation of its experiment 0; undefined when MLflow would not tell. */
  readonly registryCreatedAt: number | undefined;
  /** When the version was made. */
  readonly versionCreatedAt: number;
  /** The workspace of MLflow's that has it; undefined for the default one. */
  readonly workspace?: string | undefined;
}

/** Those that are labels, by which people and other programs select. */
export const IDENTITY_LABELS: readonly string[] = [MANAGED_BY_LABEL, MODEL_KEY, VERSION_KEY, RUN_ID_KEY];

/** What is known in MLflow about a version that is served. A missing or empty text means that there is none. */
export interface DeployedModelVersion extends ModelVersionKey {
  readonly runId?: string | undefined;
  readonly experimentId?: string | undefined;
  readonly source?: string | undefined;
  readonly registry?: RegistryRecord | undefined;
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
 * The full originals behind the labels, plus experiment, source and registry where known. Kubernetes stores UTF-8, in which a lone
 * surrogate has no form (the API server would make U+FFFD of it): a text with one is written as JSON, quotes and escapes
 * included. {@link keyOf} reads both forms. Run, experiment and source are left out when over 32 KiB, so that they
 * cannot push the annotations over Kubernetes' 256 KiB.
 */
export function identityAnnotations(deployment: DeployedModelVersion): Record<string, string> {
  const { model, version, runId, experimentId, source, registry } = deployment;
  return {
    [MODEL_KEY]: storable(model),
    [VERSION_KEY]: storable(version),
    ...information(RUN_ID_KEY, runId),
    ...information(EXPERIMENT_ID_KEY, experimentId),
    ...information(SOURCE_KEY, source),
    ...(registry === undefined ? {} : { [REGISTRY_KEY]: registryText(registry) }),
  };
}

/** How a workspace is recorded: MLflow's default one is the one without a name. */
export function workspaceRecorded(workspace: string | undefined): string | undefined {
  return workspace === "default" ? undefined : workspace;
}

function registryText({ registryCreatedAt, versionCreatedAt, workspace }: RegistryRecord): string {
  return [registryCreatedAt ?? "", versionCreatedAt, ...(workspace === undefined ? [] : [workspace])].join("/");
}

/** The registry that an object says its version came from; undefined when it does not say, as those of former releases. */
export function registryRecordOf({ annotations }: IdentityMetadata): RegistryRecord | undefined {
  const text = annotations?.[REGISTRY_KEY] ?? "";
  const [, registry, version, workspace] = /^(\d*)\/(\d+)(?:\/(.+))?$/.exec(text) ?? [];
  if (registry === undefined || version === undefined) return undefined;
  const registryCreatedAt = registry === "" ? undefined : Number(registry);
  return { registryCreatedAt, versionCreatedAt: Number(version), workspace };
}

/** The run that made the model, as the object tells it; undefined when it has none or does not say. */
export function runIdOf(metadata: IdentityMetadata): string | undefined {
  return metadata.annotations?.[RUN_ID_KEY] ?? runLabelOf(metadata);
}

/** The label that names the run; undefined also where the listener before this module wrote that there is none. */
export function runLabelOf(metadata: IdentityMetadata): string | undefined {
  const told = metadata.labels?.[RUN_ID_KEY];
  return told === NO_RUN && hasLostAnnotations(metadata) ? undefined : told;
}

/** The run and its experiment as the annotations record them, which may be of a run that the version had before. */
export function recordedRunOf({ annotations }: IdentityMetadata): Pick<DeployedModelVersion, "runId" | "experimentId"> {
  return { runId: annotations?.[RUN_ID_KEY], experimentId: annotations?.[EXPERIMENT_ID_KEY] };
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
 * The model version that an object of ours serves, or undefined if the object is not, beyond doubt, one that we made or
 * may take over: it needs our label, **and** the very name that its model and version lead to. Those are in its
 * annotations; without these (an object of the listener that was used before this module, or one whose annotations were
 * taken away) in its labels, which are the originals where they are no hash. So neither a label that somebody put on a
 * foreign object, nor metadata copied to another object or changed by hand, make us change or delete it.
 */
export function keyOf(metadata: IdentityMetadata): ModelVersionKey | undefined {
  const { name, namespace, labels, annotations } = metadata;
  if (!isManaged(metadata) || name === undefined || namespace === undefined) return undefined;
  const told = hasLostAnnotations(metadata) ? labels : annotations;
  const model = told?.[MODEL_KEY];
  const version = told?.[VERSION_KEY];
  if (typeof model !== "string" || typeof version !== "string") return undefined;
  // The name decides between the text itself and the text as JSON: its hash is over the original.
  return originalsOf(model)
    .map(candidate => ({ model: candidate, version }))
    .find(key => possibleServiceName(key, namespace) === name && labelsAgree(metadata, key));
}

/** Whether an object with our label has none of the annotations that say what it serves. */
export function hasLostAnnotations({ annotations }: IdentityMetadata): boolean {
  return annotations?.[MODEL_KEY] === undefined && annotations?.[VERSION_KEY] === undefined;
}

/**
 * Whether an object is the one of this version, for sure: {@link keyOf} says so, or, where its annotations are gone and a
 * label is only a hash, labels and name are those that this version leads to.
 */
export function serves(metadata: IdentityMetadata, key: ModelVersionKey): boolean {
  const found = keyOf(metadata);
  if (found !== undefined) return found.model === key.model && found.version === key.version;
  const { name, namespace } = metadata;
  return (
    isManaged(metadata) &&
    hasLostAnnotations(metadata) &&
    namespace !== undefined &&
    possibleServiceName(key, namespace) === name &&
    labelsAgree(metadata, key)
  );
}

/** Without annotations the labels are all there is; with them, a label that was changed is put right. */
function labelsAgree(metadata: IdentityMetadata, key: ModelVersionKey): boolean {
  if (!hasLostAnnotations(metadata)) return true;
  const expected = identityLabels(key);
  return [MODEL_KEY, VERSION_KEY].every(label => metadata.labels?.[label] === expected[label]);
}

function information(key: string, value: string | undefined): Record<string, string> {
  if (!value) return {};
  const stored = storable(value);
  return Buffer.byteLength(stored) > INFORMATION_BYTES ? {} : { [key]: stored };
}

/** A text as an annotation keeps it: one that Kubernetes could not store as it is becomes JSON. */
export function storable(text: string): string {
  return isWellFormed(text) ? text : JSON.stringify(text);
}

/** The texts that {@link storable} may have been given to make this one. */
export function originalsOf(text: string): string[] {
  const parsed = fromJson(text);
  return parsed === undefined ? [text] : [text, parsed];
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
