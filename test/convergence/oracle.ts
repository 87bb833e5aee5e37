import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import type { ApiServer } from "../../capabilities/kubernetes/api-server";
import { keyOf, MANAGED_BY } from "../../capabilities/kserve/identity";
import { inferenceServiceName } from "../../capabilities/kserve/names";
import { compileTemplate } from "../../capabilities/template/rendering";
import type { CompiledTemplate, InferenceServiceObject } from "../../capabilities/template/rendering";
import { createMlflowReader } from "../../capabilities/mlflow/client";
import type { MlflowReader, ModelVersion } from "../../capabilities/mlflow/client";
import { createMlflowTransport } from "../../capabilities/mlflow/transport";
import type { MlflowTransport } from "../../capabilities/mlflow/transport";
import { formatKey } from "../../capabilities/support/model-version-key";
import { parseSettings } from "../../capabilities/configuration/settings";
import type { Settings } from "../../capabilities/configuration/settings";
import { createArtifactLocator } from "../../capabilities/reconciliation/artifact-locator";
import { desiredObject } from "../../capabilities/reconciliation/desired-object";
import type { ForeignObject, OwnedObject } from "./foreign-objects";

/** One way in which the cluster is not what MLflow says. */
export interface Difference {
  readonly kind: "missing" | "extra" | "different" | "foreign object touched" | "unknown object";
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
}

export interface OracleOptions {
  readonly trackingUri: string;
  readonly apiServer: ApiServer;
  readonly namespace: string;
  readonly tagKey: string;
  /** The environment of the module: settings with their prefix. */
  readonly environment: Readonly<Record<string, string>>;
}

/** The one that the module has built in. */
const TEMPLATE = "templates/inference-service.yaml.txt";

/**
 * Says what is wrong, from the systems themselves and without the module's own search, decision and comparison: MLflow
 * is walked through in full, and what an object should be is asked of the API server.
 */
export interface Oracle {
  judge: (foreign: readonly ForeignObject[]) => Promise<Judgement>;
  /** How many objects that are not the module's are on their way out. */
  foreignDeletions: () => Promise<number>;
}

export function createOracle(options: OracleOptions): Oracle {
  const { apiServer, namespace, tagKey } = options;
  const collection = `/apis/serving.kserve.io/v1beta1/namespaces/${namespace}/inferenceservices`;
  const transport = createMlflowTransport({
    trackingUri: options.trackingUri,
    authorization: undefined,
    deadline: 30_000,
  });
  const reader = createMlflowReader(transport);
  const settings = parseSettings(options.environment);
  const template = compileTemplate(readFileSync(TEMPLATE, "utf8"), TEMPLATE);

  const compare = async (version: ModelVersion, live: OwnedObject): Promise<Difference[]> => {
    const desired = await freshRender(reader, version, namespace, settings, template);
    const metadata = { ...desired.metadata, uid: live.metadata.uid };
    const applied = (
      await apiServer({
        method: "PATCH",
        path: `${collection}/${live.metadata.name}`,
        query: { fieldManager: MANAGED_BY, force: "true", dryRun: "All" },
        contentType: "application/apply-patch+yaml",
        body: { ...desired, metadata },
      })
    ).body as OwnedObject;
    if (isDeepStrictEqual(ownedPart(live), ownedPart(applied))) return [];
    const detail = `is ${JSON.stringify(ownedPart(live))}, should be ${JSON.stringify(ownedPart(applied))}`;
    return [{ kind: "different", name: live.metadata.name, detail }];
  };

  const listAll = async (): Promise<OwnedObject[]> =>
    ((await apiServer({ method: "GET", path: collection })).body as { items: OwnedObject[] }).items;

  return {
    async foreignDeletions() {
      const all = await listAll();
      return all.filter(({ metadata }) => metadata.deletionTimestamp !== undefined && keyOf(metadata) === undefined)
        .length;
    },

    async judge(foreign) {
      const [versions, all] = await Promise.all([walk(transport), listAll()]);
      const tagged = versions.filter(version => isTagged(version, tagKey));
      const live = all.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
      const { differences, ours, blocked } = judgeSets(tagged, live, foreign, namespace);
      const different = await Promise.all(ours.map(([version, object]) => compare(version, object)));
      return { differences: [...differences, ...different.flat()], tagged: tagged.length, blocked };
    },
  };
}

/** The pure part of the judgement: which objects there should be, and whether those of others are as they were left. */
export function judgeSets(
  tagged: readonly ModelVersion[],
  live: readonly OwnedObject[],
  foreign: readonly ForeignObject[],
  namespace: string,
): { differences: Difference[]; ours: [ModelVersion, OwnedObject][]; blocked: number } {
  const differences: Difference[] = [];
  const ours: [ModelVersion, OwnedObject][] = [];
  const byName = new Map(live.map(object => [object.metadata.name, object]));
  const wanted = new Set<string>();
  let blocked = 0;
  for (const version of tagged) {
    const name = inferenceServiceName(version, namespace);
    wanted.add(name);
    const object = byName.get(name);
    const key = object && keyOf(object.metadata);
    if (object === undefined) differences.push({ kind: "missing", name, detail: `${formatKey(version)} is tagged` });
    else if (key === undefined || formatKey(key) !== formatKey(version)) blocked++;
    else ours.push([version, object]);
  }
  const foreignUids = new Set(foreign.map(({ left }) => left.metadata.uid));
  for (const { metadata } of live) {
    const key = keyOf(metadata);
    if (key !== undefined && !wanted.has(metadata.name)) {
      differences.push({ kind: "extra", name: metadata.name, detail: `${formatKey(key)} is not tagged` });
    }
    if (key === undefined && !foreignUids.has(metadata.uid)) {
      differences.push({ kind: "unknown object", name: metadata.name, detail: JSON.stringify(metadata) });
    }
  }
  for (const one of foreign) differences.push(...foreignDifferences(one, byName.get(one.left.metadata.name)));
  return { differences, ours, blocked };
}

function foreignDifferences({ left, madeByOthers }: ForeignObject, live: OwnedObject | undefined): Difference[] {
  const touched = (detail: string): Difference[] => [
    { kind: "foreign object touched", name: left.metadata.name, detail },
  ];
  if (live?.metadata.uid !== left.metadata.uid) return touched(`it is gone${live ? ", and another is there" : ""}`);
  if (!isDeepStrictEqual(ownedPart(live), ownedPart(left))) {
    return touched(`was ${JSON.stringify(ownedPart(left))}, is ${JSON.stringify(ownedPart(live))}`);
  }
  const writers = live.metadata.managedFields ?? [];
  return madeByOthers && writers.some(({ manager }) => manager === MANAGED_BY)
    ? touched("the module owns fields of it")
    : [];
}

/** What people and the module write; the rest is KServe's. */
function ownedPart({ metadata, spec }: OwnedObject): unknown {
  return { labels: metadata.labels ?? {}, annotations: metadata.annotations ?? {}, spec };
}

async function freshRender(
  reader: MlflowReader,
  version: ModelVersion,
  namespace: string,
  settings: Settings,
  template: CompiledTemplate,
): Promise<InferenceServiceObject> {
  const location = await createArtifactLocator(reader, { storageUriBase: settings.STORAGE_URI_BASE })(version);
  return desiredObject(version, location, namespace, template, {
    cpuRequest: settings.PREDICTOR_CPU_REQUEST,
    cpuLimit: settings.PREDICTOR_CPU_LIMIT,
    memoryRequest: settings.PREDICTOR_MEMORY_REQUEST,
    memoryLimit: settings.PREDICTOR_MEMORY_LIMIT,
  });
}

function isTagged({ tags, status }: ModelVersion, tagKey: string): boolean {
  return /^true$/i.test(tags.get(tagKey) ?? "") && status === "READY";
}

interface VersionAnswer {
  readonly name: string;
  readonly version: string;
  readonly source?: string;
  readonly run_id?: string;
  readonly status?: string;
  readonly tags?: readonly { readonly key: string; readonly value?: string }[];
}

/** All versions of all models: MLflow's list of everything, without any filter, page by page. */
async function walk(transport: MlflowTransport): Promise<ModelVersion[]> {
  const found: ModelVersion[] = [];
  let token: string | undefined;
  do {
    const query = { max_results: "200", ...(token === undefined ? {} : { page_token: token }) };
    const page = (await transport({ method: "GET", path: "model-versions/search", query })) as {
      model_versions?: VersionAnswer[];
      next_page_token?: string;
    };
    for (const { name, version, source = "", run_id = "", status = "READY", tags = [] } of page.model_versions ?? []) {
      const values = new Map(tags.map(({ key, value = "" }) => [key, value]));
      found.push({ model: name, version, source, runId: run_id, status, tags: values });
    }
    token = page.next_page_token;
  } while (token);
  return found;
}
