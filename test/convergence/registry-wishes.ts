import { keyOf, serves } from "../../capabilities/kserve/identity";
import { inferenceServiceName } from "../../capabilities/kserve/names";
import type { ModelVersion } from "../../capabilities/mlflow/client";
import type { MlflowTransport } from "../../capabilities/mlflow/transport";
import { formatKey } from "../../capabilities/support/model-version-key";
import type { ModelVersionKey } from "../../capabilities/support/model-version-key";
import type { OwnedObject } from "./foreign-objects";

// What MLflow wants, by rules of the test's own, from all that it has.

/** Whether a version is to be served: its own tag decides; without one, an alias of a model that follows its aliases. */
export function isWanted({ model, version, tags }: ModelVersion, following: Following, tagKey: string): boolean {
  const value = tags.get(tagKey);
  if (value !== undefined) return /^true$/i.test(value);
  return following.get(model)?.versions.has(version) === true;
}

/** The versions that aliases are on, of the models that follow them. */
export type Following = ReadonlyMap<
  string,
  { readonly versions: ReadonlySet<string>; readonly champion: string | undefined }
>;

export function followingModels(models: readonly ModelAnswer[], tagKey: string): Following {
  const following = models.filter(({ tags = [] }) =>
    tags.some(({ key, value = "" }) => key === tagKey && /^true$/i.test(value)),
  );
  return new Map(
    following.map(({ name, aliases = [] }) => {
      const followed = aliases.filter(({ alias }) => alias === "champion" || alias === "challenger");
      const champion = aliases.find(({ alias }) => alias === "champion")?.version;
      return [name, { versions: new Set(followed.map(({ version }) => version)), champion }];
    }),
  );
}

/**
 * Services that may stay although their versions are not wanted: Ready ones of models that follow their aliases, of which no
 * version that is wanted is Ready, or not the champion; and those that endpoints lead to.
 *
 * @param endpoints the versions that endpoints lead to, by the names of their services
 */
export function lastReadyOnes(
  tagged: readonly ModelVersion[],
  versions: readonly ModelVersion[],
  live: readonly OwnedObject[],
  following: Following,
  { tagKey, namespace, endpoints }: { tagKey: string; namespace: string; endpoints: ReadonlySet<string> },
): (object: OwnedObject) => boolean {
  const byName = new Map(live.map(object => [object.metadata.name, object]));
  const isServed = (version: ModelVersionKey): boolean => {
    const object = byName.get(inferenceServiceName(version, namespace));
    return object !== undefined && serves(object.metadata, version) && isReadyObject(object);
  };
  const served = new Set(tagged.filter(isServed).map(({ model }) => model));
  const isChampionServed = (model: string): boolean => {
    const version = following.get(model)?.champion;
    return version === undefined || isServed({ model, version });
  };
  const untagged = new Set(versions.filter(({ tags }) => !tags.has(tagKey)).map(formatKey));
  return object => {
    const key = keyOf(object.metadata);
    if (key === undefined || !untagged.has(formatKey(key)) || !following.has(key.model)) return false;
    if (endpoints.has(object.metadata.name)) return true;
    return isReadyObject(object) && !(served.has(key.model) && isChampionServed(key.model));
  };
}

/** Whether KServe says that an object serves. */
export function isReadyObject({ status }: OwnedObject): boolean {
  return status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;
}

interface ModelAnswer {
  readonly name: string;
  readonly tags?: readonly { readonly key: string; readonly value?: string }[];
  readonly aliases?: readonly { readonly alias: string; readonly version: string }[];
}

interface VersionAnswer {
  readonly name: string;
  readonly version: string;
  readonly source?: string;
  readonly run_id?: string;
  readonly status?: string;
  readonly creation_timestamp?: number;
  readonly tags?: readonly { readonly key: string; readonly value?: string }[];
}

/** All versions of all models: MLflow's list of everything, without any filter. */
export async function walkVersions(transport: MlflowTransport): Promise<ModelVersion[]> {
  const answers = await walkAll<VersionAnswer>(transport, "model-versions/search", "model_versions");
  return answers.map(({ name: model, version, source = "", run_id: runId = "", status = "READY", ...answer }) => {
    const tags = new Map((answer.tags ?? []).map(({ key, value = "" }) => [key, value]));
    return { model, version, source, runId, status, createdAt: answer.creation_timestamp ?? 0, tags };
  });
}

/** All registered models, in the same way. */
export async function walkModels(transport: MlflowTransport): Promise<ModelAnswer[]> {
  return await walkAll<ModelAnswer>(transport, "registered-models/search", "registered_models");
}

/** Everything that a search finds, page by page. */
async function walkAll<T>(transport: MlflowTransport, path: string, list: string): Promise<T[]> {
  const found: T[] = [];
  let token: string | undefined;
  do {
    const query = { max_results: "200", ...(token === undefined ? {} : { page_token: token }) };
    const page = (await transport({ method: "GET", path, query })) as Record<string, T[] | string | undefined>;
    found.push(...((page[list] ?? []) as T[]));
    token = page.next_page_token as string | undefined;
  } while (token);
  return found;
}
