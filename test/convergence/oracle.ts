import { isDeepStrictEqual } from "node:util";
import { KubernetesError } from "../../capabilities/kubernetes/api-server";
import type { ApiServer } from "../../capabilities/kubernetes/api-server";
import {
  BOOKKEEPING_ANNOTATIONS,
  BOOKKEEPING_LABEL,
  hasLostAnnotations,
  keyOf,
  MANAGED_BY,
  serves,
} from "../../capabilities/kserve/identity";
import { inferenceServiceName } from "../../capabilities/kserve/names";
import { compileTemplate } from "../../capabilities/template/rendering";
import type { CompiledTemplate, InferenceServiceObject } from "../../capabilities/template/rendering";
import { createMlflowReader } from "../../capabilities/mlflow/client";
import type { MlflowReader, ModelVersion } from "../../capabilities/mlflow/client";
import { createMlflowTransport } from "../../capabilities/mlflow/transport";
import { formatKey } from "../../capabilities/support/model-version-key";
import { parseSettings } from "../../capabilities/configuration/settings";
import type { Settings } from "../../capabilities/configuration/settings";
import { createArtifactLocator } from "../../capabilities/reconciliation/artifact-locator";
import { desiredObject } from "../../capabilities/reconciliation/desired-object";
import { endpointDifferences, servedBy } from "./endpoint-differences";
import type { EndpointService } from "./endpoint-differences";
import { isLeftAlone } from "./foreign-objects";
import type { ForeignObject, ForeignObjects, OwnedObject } from "./foreign-objects";
import { followingModels, isWanted, lastReadyOnes, walkModels, walkVersions } from "./registry-wishes";
import { statusTagDifferences } from "./status-tag-differences";

/** Statuses with which the API server or admission refuses an object for good. */
const REFUSALS: readonly number[] = [400, 403, 422];

/** One way in which the cluster is not what MLflow says. */
export interface Difference {
  readonly kind:
    | "missing"
    | "extra"
    | "different"
    | "foreign object touched"
    | "unknown object"
    | "status tags"
    | "endpoint";
  readonly name: string;
  readonly detail: string;
}

/** What is and what should be, at one moment. */
export interface Judgement {
  readonly differences: readonly Difference[];
  /** Tagged versions in MLflow. */
  readonly tagged: number;
  /** Those of them whose name is taken by a foreign object. */
  readonly blocked: number;
  /** Those of them whose service a person told the module to leave alone. */
  readonly handsOff: number;
}

export interface OracleOptions {
  readonly trackingUri: string;
  readonly apiServer: ApiServer;
  readonly namespace: string;
  readonly tagKey: string;
  /** The environment of the module: settings with their prefix. */
  readonly environment: Readonly<Record<string, string>>;
  /** The YAML of the template that the module has now. */
  readonly template: () => string;
}

/**
 * Says what is wrong, from the systems themselves and without the module's own search, decision and comparison: MLflow
 * is walked through in full, and what an object should be is asked of the API server.
 */
export interface Oracle {
  judge: (foreign: Pick<ForeignObjects, "all" | "hasWritten">) => Promise<Judgement>;
  /** How many objects that are not the module's are on their way out. */
  foreignDeletions: () => Promise<number>;
}

export function createOracle(options: OracleOptions): Oracle {
  const { apiServer, namespace, tagKey } = options;
  const collection = `/apis/serving.kserve.io/v1beta1/namespaces/${namespace}/inferenceservices`;
  const transport = createMlflowTransport({
    trackingUri: options.trackingUri,
    deadline: 30_000,
  });
  const reader = createMlflowReader(transport);
  const settings = parseSettings(options.environment);

  /** What the object would be after an Apply; undefined where it is refused. */
  const dryRun = async (
    desired: InferenceServiceObject,
    { metadata }: OwnedObject,
  ): Promise<OwnedObject | undefined> => {
    try {
      const { body } = await apiServer({
        method: "PATCH",
        path: `${collection}/${metadata.name}`,
        query: { fieldManager: MANAGED_BY, force: "true", dryRun: "All" },
        contentType: "application/apply-patch+yaml",
        body: { ...desired, metadata: { ...desired.metadata, uid: metadata.uid } },
      });
      return body as OwnedObject;
    } catch (error) {
      if (error instanceof KubernetesError && REFUSALS.includes(error.status)) return undefined;
      throw error;
    }
  };

  const compare = async (version: ModelVersion, live: OwnedObject): Promise<Difference[]> => {
    const different = (detail: string): Difference[] => [{ kind: "different", name: live.metadata.name, detail }];
    const template = compileTemplate(options.template(), "the template");
    const applied = await dryRun(await freshRender(reader, version, namespace, settings, template), live);
    if (applied === undefined) {
      // Somebody's own, which does not go together with ours: that is theirs to mend.
      return isWrittenByModule(live) ? different("the API server refuses what it should be") : [];
    }
    if (hasLostAnnotations(live.metadata) && keyOf(live.metadata) === undefined) return different("it has no identity");
    const [is, should] = [withoutBookkeeping(live), withoutBookkeeping(applied)];
    if (isDeepStrictEqual(is, should)) return [];
    // One that was taken over keeps its folder's URI without the slash at its end, which no restart is worth.
    if (hasLostAnnotations(live.metadata) && isDeepStrictEqual(withoutSlashes(is), withoutSlashes(should))) return [];
    return different(`is ${JSON.stringify(is)}, should be ${JSON.stringify(should)}`);
  };

  const listAll = async (): Promise<OwnedObject[]> =>
    ((await apiServer({ method: "GET", path: collection })).body as { items: OwnedObject[] }).items;

  const listEndpoints = async (): Promise<EndpointService[]> => {
    const path = `/api/v1/namespaces/${namespace}/services`;
    const { body } = await apiServer({ method: "GET", path, query: { labelSelector: "mlflow.endpoint" } });
    return (body as { items: EndpointService[] }).items;
  };

  return {
    async foreignDeletions() {
      const all = await listAll();
      return all.filter(({ metadata }) => metadata.deletionTimestamp !== undefined && keyOf(metadata) === undefined)
        .length;
    },

    async judge(foreign) {
      const [versions, models, all, services] = await Promise.all([
        walkVersions(transport),
        walkModels(transport),
        listAll(),
        listEndpoints(),
      ]);
      const following = followingModels(models, tagKey);
      const wanted = versions.filter(version => isWanted(version, following, tagKey));
      const tagged = wanted.filter(({ status }) => status === "READY");
      const live = all.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
      const endpoints = new Set(services.flatMap(service => servedBy(service, namespace) ?? []));
      const mayStay = lastReadyOnes(tagged, versions, live, following, { tagKey, namespace, endpoints });
      const { differences, ours, blocked, handsOff } = judgeSets(tagged, live, foreign, { namespace, mayStay });
      const different = await Promise.all(ours.map(([version, object]) => compare(version, object)));
      const isVersionWanted = (version: ModelVersion): boolean => isWanted(version, following, tagKey);
      const prefix = settings.STATUS_TAG_PREFIX;
      const tags = statusTagDifferences(versions, all, { isWanted: isVersionWanted, namespace, prefix });
      const ofEndpoints = endpointDifferences(services, versions, all, { following, tagKey, namespace });
      const found = [...differences, ...different.flat(), ...tags, ...ofEndpoints];
      return { differences: found, tagged: tagged.length, blocked, handsOff };
    },
  };
}

/** The pure part of the judgement: which objects there should be, and whether those of others are as they were left. */
export function judgeSets(
  tagged: readonly ModelVersion[],
  live: readonly OwnedObject[],
  foreign: Pick<ForeignObjects, "all" | "hasWritten">,
  { namespace, mayStay }: { readonly namespace: string; readonly mayStay: (object: OwnedObject) => boolean },
): { differences: Difference[]; ours: [ModelVersion, OwnedObject][]; blocked: number; handsOff: number } {
  const differences: Difference[] = [];
  const ours: [ModelVersion, OwnedObject][] = [];
  const byName = new Map(live.map(object => [object.metadata.name, object]));
  const wanted = new Set<string>();
  let [blocked, handsOff] = [0, 0];
  for (const version of tagged) {
    const name = inferenceServiceName(version, namespace);
    wanted.add(name);
    const object = byName.get(name);
    if (object === undefined) differences.push({ kind: "missing", name, detail: `${formatKey(version)} is tagged` });
    else if (!serves(object.metadata, version)) blocked++;
    else if (isLeftAlone(object.metadata)) handsOff++;
    else ours.push([version, object]);
  }
  for (const object of live) {
    const { metadata } = object;
    const key = keyOf(metadata);
    if (key !== undefined && !wanted.has(metadata.name) && !isLeftAlone(metadata) && !mayStay(object)) {
      differences.push({ kind: "extra", name: metadata.name, detail: `${formatKey(key)} is not tagged` });
    }
    if (key === undefined && !foreign.hasWritten(metadata.uid)) {
      differences.push({ kind: "unknown object", name: metadata.name, detail: JSON.stringify(metadata) });
    }
  }
  for (const one of foreign.all) differences.push(...foreignDifferences(one, byName.get(one.left.metadata.name)));
  return { differences, ours, blocked, handsOff };
}

function foreignDifferences({ left, madeByOthers }: ForeignObject, live: OwnedObject | undefined): Difference[] {
  const touched = (detail: string): Difference[] => [
    { kind: "foreign object touched", name: left.metadata.name, detail },
  ];
  if (live?.metadata.uid !== left.metadata.uid) return touched(`it is gone${live ? ", and another is there" : ""}`);
  if (!isDeepStrictEqual(ownedPart(live), ownedPart(left))) {
    return touched(`was ${JSON.stringify(ownedPart(left))}, is ${JSON.stringify(ownedPart(live))}`);
  }
  return madeByOthers && isWrittenByModule(live) ? touched("the module owns fields of it") : [];
}

function isWrittenByModule({ metadata }: OwnedObject): boolean {
  return metadata.managedFields?.some(({ manager }) => manager === MANAGED_BY) === true;
}

/** What people and the module write; the rest is KServe's. */
function ownedPart({ metadata, spec }: OwnedObject): unknown {
  return { labels: metadata.labels ?? {}, annotations: metadata.annotations ?? {}, spec };
}

/** {@link ownedPart} without what is only told, and no reason to write to an object. */
function withoutBookkeeping({ metadata, spec }: OwnedObject): unknown {
  const without = (map: Readonly<Record<string, string>> = {}, keys: readonly string[]) =>
    Object.fromEntries(Object.entries(map).filter(([key]) => !keys.includes(key)));
  return {
    labels: without(metadata.labels, [BOOKKEEPING_LABEL]),
    annotations: without(metadata.annotations, BOOKKEEPING_ANNOTATIONS),
    spec,
  };
}

function withoutSlashes(part: unknown): unknown {
  return JSON.parse(JSON.stringify(part), (_, value: unknown) =>
    typeof value === "string" && value.startsWith("s3://") ? value.replace(/\/$/, "") : value,
  );
}

async function freshRender(
  reader: MlflowReader,
  version: ModelVersion,
  namespace: string,
  settings: Settings,
  template: CompiledTemplate,
): Promise<InferenceServiceObject> {
  const storage = { storageUriBase: settings.STORAGE_URI_BASE };
  const needsExperiment = template.uses("experiment_id");
  const location = await createArtifactLocator(reader, storage, { needsExperiment })(version);
  const resources = {
    cpuRequest: settings.PREDICTOR_CPU_REQUEST,
    cpuLimit: settings.PREDICTOR_CPU_LIMIT,
    memoryRequest: settings.PREDICTOR_MEMORY_REQUEST,
    memoryLimit: settings.PREDICTOR_MEMORY_LIMIT,
  };
  const registry = { registryCreatedAt: undefined, versionCreatedAt: version.createdAt };
  return desiredObject(version, location, namespace, template, resources, registry);
}
