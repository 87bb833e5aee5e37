import { keyOf, serves } from "../../capabilities/kserve/identity";
import { inferenceServiceName } from "../../capabilities/kserve/names";
import type { ModelVersion } from "../../capabilities/mlflow/client";
import { formatKey } from "../../capabilities/support/model-version-key";
import { isLeftAlone } from "./foreign-objects";
import type { OwnedObject } from "./foreign-objects";
import type { Difference } from "./oracle";
import { isReadyObject } from "./registry-wishes";

/** What the status tags of a version may be: the words, and which of the other tags there must be. */
interface Expected {
  readonly words: readonly (string | undefined)[];
  readonly needs?: "url" | "cause";
}

/**
 * Versions in MLflow whose tags do not say what is, judged by rules of the test's own. Where the cluster itself is not what it
 * should be, that is the difference, and the tags follow.
 *
 * @param live all InferenceServices of the namespace
 */
export function statusTagDifferences(
  versions: readonly ModelVersion[],
  live: readonly OwnedObject[],
  {
    isWanted,
    prefix,
    namespace,
  }: {
    readonly isWanted: (version: ModelVersion) => boolean;
    readonly prefix: string;
    readonly namespace: string;
  },
): Difference[] {
  const byName = new Map(live.map(object => [object.metadata.name, object]));
  return versions.flatMap((version): Difference[] => {
    const name = inferenceServiceName(version, namespace);
    const expected = expectedFor(version, byName.get(name), isWanted(version));
    if (expected === undefined) return [];
    const tags = new Map([...version.tags].filter(([key]) => key === prefix || key.startsWith(`${prefix}.`)));
    const word = tags.get(prefix);
    const isRight =
      expected.words.includes(word) && (word === undefined ? tags.size === 0 : hasAll(tags, prefix, expected));
    if (isRight) return [];
    const should = expected.words.map(one => one ?? "none").join(" or ");
    const all = JSON.stringify([Object.fromEntries(version.tags), byName.get(name)?.metadata]);
    const detail = `${formatKey(version)} has ${JSON.stringify(Object.fromEntries(tags))}, should be ${should}: ${all}`;
    return [{ kind: "status tags", name, detail }];
  });
}

function hasAll(tags: ReadonlyMap<string, string>, prefix: string, { needs }: Expected): boolean {
  return needs === undefined || (tags.get(`${prefix}.${needs}`) ?? "") !== "";
}

function expectedFor(version: ModelVersion, object: OwnedObject | undefined, isWanted: boolean): Expected | undefined {
  const isOurs = object !== undefined && serves(object.metadata, version);
  if (object?.metadata.deletionTimestamp !== undefined) return undefined;
  // Without annotations only those that are wanted are known, where the labels are no originals.
  if (isOurs && !isWanted && keyOf(object.metadata) === undefined) return undefined;
  if (isOurs && isLeftAlone(object.metadata)) return { words: ["Waiting"], needs: "cause" };
  if (!isWanted) return isOurs ? undefined : { words: [undefined] };
  if (object === undefined || version.status !== "READY") return undefined;
  if (!isOurs) return { words: ["Conflict"], needs: "cause" };
  return isReadyObject(object) ? { words: ["Ready"], needs: "url" } : { words: ["Starting", "Failed"] };
}
