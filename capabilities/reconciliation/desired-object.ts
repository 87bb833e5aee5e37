import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { formatPath, hasApplied, lostFields, owns, valueAt } from "../kserve/field-ownership";
import type { FieldPath } from "../kserve/field-ownership";
import {
  BOOKKEEPING_ANNOTATIONS,
  BOOKKEEPING_LABEL,
  hasLostAnnotations,
  identityAnnotations,
  identityLabels,
  keyOf,
  labelValue,
  MANAGED_BY,
  runLabelOf,
} from "../kserve/identity";
import type { RegistryRecord } from "../kserve/identity";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import { inferenceServiceName } from "../kserve/names";
import type { ModelVersion } from "../mlflow/client";
import { withIdentity } from "../template/rendering";
import type { CompiledTemplate, InferenceServiceObject } from "../template/rendering";
import type { ArtifactLocation } from "./artifact-locator";

/** Characters of a value that are shown of a difference. */
const MAXIMUM_VALUE_LENGTH = 200;

/** The same for every predictor. */
export interface PredictorResources {
  readonly cpuRequest: string;
  readonly cpuLimit: string;
  readonly memoryRequest: string;
  readonly memoryLimit: string;
}

/** The InferenceService that a tagged version should have, with its identity, as it would be made anew. */
export function desiredObject(
  version: ModelVersion,
  location: ArtifactLocation,
  namespace: string,
  template: CompiledTemplate,
  resources: PredictorResources,
  registry: RegistryRecord,
): InferenceServiceObject {
  const rendered = template.render({
    name: inferenceServiceName(version, namespace),
    namespace,
    model_name: version.model,
    model_label: labelValue(version.model),
    model_version: version.version,
    storage_uri: location.storageUri,
    run_id: version.runId,
    experiment_id: location.experimentId,
    cpu_request: resources.cpuRequest,
    cpu_limit: resources.cpuLimit,
    memory_request: resources.memoryRequest,
    memory_limit: resources.memoryLimit,
  });
  const identity = {
    model: version.model,
    version: version.version,
    runId: version.runId,
    experimentId: location.experimentId,
    source: version.source,
    registry,
  };
  const object = withIdentity(rendered, identityLabels(identity), identityAnnotations(identity));
  return { ...object, spec: withoutDoubleSlash(object.spec, location.storageUri) };
}

/** How an object in the cluster stands to the one that it should be. */
export interface Comparison {
  /** What to apply: the desired object, with the bookkeeping of the live one unless it is about another model. */
  readonly object: InferenceServiceObject;
  /** Nothing needs to be applied. */
  readonly inPlace: boolean;
  /**
   * The model itself differs: another storage URI, or another run. Otherwise what differs is what a changed template,
   * setting or release makes of the same model, or what somebody else changed. A slash at the end of the URI makes no
   * other model.
   */
  readonly isAboutModel: boolean;
  /** Fields of ours that the desired object does not have any more, and that an Apply takes away. */
  readonly lost: readonly FieldPath[];
  /** Fields that the desired object has and the live one has not, or with another value. */
  readonly differing: readonly FieldPath[];
  /**
   * Nobody else has changed the object: what we would apply is not what we applied once, or not what the listener before
   * us made. Where a field is missing, a template that has gained it cannot be told from somebody who took it away, unless
   * this process has applied it itself.
   */
  readonly isOutdated: boolean;
}

/**
 * What our last Apply of an object left in the cluster. Admission may write a value in another form (`1000m` as `1`,
 * `deploymentMode: RawDeployment` as `Standard`), which is no drift: what the Apply returned is what it should be.
 */
export interface Settled {
  readonly uid: string;
  /** See {@link digestOf}. */
  readonly digest: string;
  /** See {@link printOf}. */
  readonly print: string;
}

/**
 * Compares an object in the cluster with the one it should be. Fields beyond it (KServe's defaults, an autoscaler's) are not
 * ours, and none of our own bookkeeping is worth a restart of the pods: it changes when they restart for another model.
 *
 * @param storageUri where the version's artifacts are
 * @param settled what the last Apply to this very object left, when that is known
 */
export function compare(
  live: LiveInferenceService,
  desired: InferenceServiceObject,
  storageUri: string,
  settled: Settled | undefined,
): Comparison {
  const isOther = isAboutModel(live, desired, storageUri);
  const kept = isOther ? desired : withFolderOf(live, withBookkeepingOf(live, desired), storageUri);
  const lost = lostFields(live, MANAGED_BY, kept).filter(path => !isBookkeeping(path));
  const differing = differencesOf(live, kept);
  const isApplied = settled?.uid === live.metadata.uid && settled.digest === digestOf(desired);
  const isSame = isApplied && settled.print === printOf(live, kept);
  const isThere = differing.length === 0 || isSame;
  // One that we never applied is ours only after the first Apply, which need not change anything.
  const isAdopted = hasApplied(live, MANAGED_BY);
  const inPlace = live.metadata.deletionTimestamp === undefined && isAdopted && lost.length === 0 && isThere;
  const isByUs = differing.every(path => valueAt(live, path) === undefined || owns(live, MANAGED_BY, path));
  const isOutdated = !inPlace && (isAdopted ? !isOther && !isApplied && isByUs : !isThere);
  return { object: kept, inPlace, isAboutModel: isOther, isOutdated, lost, differing };
}

/**
 * What is to be remembered of an Apply.
 *
 * @param applied the object as the API server returned it
 * @param desired what should be, from {@link desiredObject}
 */
export function settledBy(applied: LiveInferenceService, desired: InferenceServiceObject): Settled {
  const print = printOf(applied, withBookkeepingOf(applied, desired));
  return { uid: applied.metadata.uid, digest: digestOf(desired), print };
}

/** What differs between an object before and after, as people write it: `spec.predictor.minReplicas: 1 → 2`, a line each. */
export function describeChange(before: LiveInferenceService, after: LiveInferenceService): string[] {
  const shown = (value: unknown): string => {
    const text = value === undefined ? "(none)" : JSON.stringify(value);
    return text.length > MAXIMUM_VALUE_LENGTH ? `${text.slice(0, MAXIMUM_VALUE_LENGTH)}…` : text;
  };
  const paths = [...differencesOf(before, after), ...differencesOf(after, before)];
  const lines = paths.map(
    path => `${formatPath(path)}: ${shown(valueAt(before, path))} → ${shown(valueAt(after, path))}`,
  );
  return [...new Set(lines)];
}

/** Labels, annotations and spec. */
interface Content {
  readonly metadata: Pick<InferenceServiceObject["metadata"], "labels" | "annotations">;
  readonly spec: Readonly<Record<string, unknown>>;
}

/** Fields that the other has, and the object has not, or with another value. */
function differencesOf(live: LiveInferenceService, { metadata, spec }: Content): FieldPath[] {
  const found: FieldPath[] = [];
  collectDifferences(live.metadata.labels, metadata.labels ?? {}, ["metadata", "labels"], found);
  collectDifferences(live.metadata.annotations, metadata.annotations ?? {}, ["metadata", "annotations"], found);
  collectDifferences(live.spec, spec, ["spec"], found);
  return found;
}

function isAboutModel(live: LiveInferenceService, desired: InferenceServiceObject, storageUri: string): boolean {
  const run = runLabelOf(live.metadata);
  const isAnotherRun = run !== undefined && run !== desired.metadata.labels?.[BOOKKEEPING_LABEL];
  if (isAnotherRun || !textsIn(desired.spec).has(storageUri)) return isAnotherRun;
  const before = textsIn(live.spec);
  // Former releases gave KServe a folder without the slash that ends it.
  return !before.has(storageUri) && !before.has(storageUri.replace(/\/$/, ""));
}

/** The desired object with the live one's bookkeeping: what is there stays as it is, and what is not is not added. */
function withBookkeepingOf(live: LiveInferenceService, desired: InferenceServiceObject): InferenceServiceObject {
  const { metadata } = desired;
  const before = live.metadata.annotations;
  const isNeeded = isNeededForIdentity(live);
  const own = (map: Readonly<Record<string, string>> = {}, isKept: (key: string) => boolean): Record<string, string> =>
    Object.fromEntries(Object.entries(map).filter(([key]) => isNeeded || isKept(key)));
  const annotations = {
    ...own(metadata.annotations, key => !BOOKKEEPING_ANNOTATIONS.includes(key) || before[key] !== undefined),
    ...Object.fromEntries(Object.entries(before).filter(([key]) => BOOKKEEPING_ANNOTATIONS.includes(key))),
  };
  const namesRun = runLabelOf(live.metadata) !== undefined;
  const labels = own(metadata.labels, key => key !== BOOKKEEPING_LABEL || namesRun);
  return { ...desired, metadata: { ...metadata, labels, annotations } };
}

/**
 * The desired object with the folder's URI as a service has it that was taken over, where all that differs is the slash
 * that ends it: that alone is not worth a restart. It comes with the next change that concerns the pods.
 */
function withFolderOf(
  live: LiveInferenceService,
  desired: InferenceServiceObject,
  storageUri: string,
): InferenceServiceObject {
  if (!hasLostAnnotations(live.metadata) || !storageUri.endsWith("/")) return desired;
  const spec = replaceText(desired.spec, storageUri, storageUri.slice(0, -1));
  const found: FieldPath[] = [];
  collectDifferences(live.spec, spec, ["spec"], found);
  return found.length === 0 ? { ...desired, spec } : desired;
}

function replaceText<T>(value: T, text: string, replacement: string): T {
  return JSON.parse(JSON.stringify(value), (_, part: unknown) => (part === text ? replacement : part)) as T;
}

/** Where the labels are no originals, the object is not to be known again without its annotations. */
function isNeededForIdentity({ metadata }: LiveInferenceService): boolean {
  return hasLostAnnotations(metadata) && keyOf(metadata) === undefined;
}

function isBookkeeping(path: FieldPath): boolean {
  const [metadata, field, key] = path;
  if (metadata !== "metadata" || typeof key !== "string") return false;
  return field === "annotations" ? BOOKKEEPING_ANNOTATIONS.includes(key) : key === BOOKKEEPING_LABEL;
}

/** A digest of what concerns the pods. */
function digestOf({ metadata, ...rest }: InferenceServiceObject): string {
  const annotations = Object.entries(metadata.annotations ?? {}).filter(
    ([key]) => !BOOKKEEPING_ANNOTATIONS.includes(key),
  );
  return hash([rest, metadata.labels, annotations]);
}

/** A digest of an object's spec, and of those of its labels and annotations that we set. */
function printOf(live: LiveInferenceService, desired: InferenceServiceObject): string {
  const part = (map: Readonly<Record<string, string>>, keys: object): unknown =>
    Object.keys(keys)
      .sort()
      .map(key => [key, map[key]]);
  const { labels = {}, annotations = {} } = desired.metadata;
  return hash([live.spec, part(live.metadata.labels, labels), part(live.metadata.annotations, annotations)]);
}

// The API server gives the keys of an object in the same order each time.
function hash(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 32);
}

/** Collects the fields of `part` that are not in `whole` with the same value. Lists must be equal in length and order. */
function collectDifferences(whole: unknown, part: unknown, path: FieldPath, found: FieldPath[]): void {
  if (Array.isArray(part)) {
    if (!Array.isArray(whole) || whole.length !== part.length) found.push(path);
    else for (const [at, item] of part.entries()) collectDifferences(whole[at], item, [...path, at], found);
  } else if (typeof part === "object" && part !== null) {
    if (typeof whole !== "object" || whole === null || Array.isArray(whole)) {
      found.push(path);
      return;
    }
    for (const [name, value] of Object.entries(part)) {
      if (!Object.hasOwn(whole, name)) found.push([...path, name]);
      else collectDifferences((whole as Record<string, unknown>)[name], value, [...path, name], found);
    }
  } else if (!isDeepStrictEqual(whole, part)) found.push(path);
}

/** A template may go on after the URI, with a slash that a folder's URI has already. */
function withoutDoubleSlash<T>(value: T, folder: string): T {
  if (!folder.endsWith("/")) return value;
  if (typeof value === "string") return value.replaceAll(`${folder}/`, folder) as T;
  if (Array.isArray(value)) return value.map((item: unknown) => withoutDoubleSlash(item, folder)) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutDoubleSlash(item, folder)])) as T;
}

function textsIn(value: unknown, texts = new Set<string>()): ReadonlySet<string> {
  if (typeof value === "string") texts.add(value);
  else if (typeof value === "object" && value !== null) for (const part of Object.values(value)) textsIn(part, texts);
  return texts;
}
