import { cutText } from "../support/foreign-text";
import type { StateWord, VersionState } from "./published";
import { STATE_WORDS } from "./published";

/** Characters that a tag's value has at the most: as many as every release of MLflow takes. */
const MAXIMUM_VALUE_LENGTH = 5_000;

/** The setting STATUS_TAG_PREFIX when nobody sets it: any other installation may have it. */
export const DEFAULT_STATUS_TAG_PREFIX = "serving";

/** What stands in the tag of a version that has no state any more, where tags may not be deleted. */
export const STOPPED = "Stopped";

/** Values of the first tag that are this module's. */
const OWN_VALUES: ReadonlySet<string> = new Set<StateWord | typeof STOPPED>([...STATE_WORDS, STOPPED]);

/** The keys of the tags that say how a version is served. */
export interface StatusTagKeys {
  readonly state: string;
  readonly url: string;
  readonly cause: string;
}

/** What is to be done to one tag; without a value it is to be deleted. */
export interface TagChange {
  readonly key: string;
  readonly value: string | undefined;
}

/** How a version's tags become what they should be. */
export type StatusTagPlan =
  | { readonly kind: "change"; readonly changes: readonly TagChange[] }
  /** Somebody else has set a tag of that name, which is left as it is. */
  | { readonly kind: "foreign"; readonly key: string };

/** The keys with this prefix: `serving`, `serving.url`, `serving.cause`. */
export function statusTagKeys(prefix: string): StatusTagKeys {
  return { state: prefix, url: `${prefix}.url`, cause: `${prefix}.cause` };
}

/** The tags of a version that are about its status. */
export function statusTagsOf(tags: ReadonlyMap<string, string>, keys: StatusTagKeys): ReadonlyMap<string, string> {
  return new Map(Object.values(keys).flatMap((key: string) => (tags.has(key) ? [[key, tags.get(key) ?? ""]] : [])));
}

/** Whether these are tags that the module wrote. One with another value, or the others without the first, is somebody's own. */
export function areOwn(tags: ReadonlyMap<string, string>, keys: StatusTagKeys): boolean {
  return OWN_VALUES.has(tags.get(keys.state) ?? "");
}

export interface StatusTagSituation {
  /** The version's status tags as they are in MLflow. */
  readonly actual: ReadonlyMap<string, string>;
  readonly state: VersionState | undefined;
  /** Whether this process wrote tags of this version before: then what is left of them is its own. */
  readonly wroteBefore: boolean;
  /** Without it a tag is overwritten: MLflow's basic auth gives this right with MANAGE, that to set one with EDIT. */
  readonly mayDelete: boolean;
}

/**
 * What to write so that the tags say what the state is. The tag with the word comes first where there was none, and last where
 * it changes or goes: whoever finds the word finds what belongs to it, and tags without the word are never ours.
 */
export function planStatusTags(situation: StatusTagSituation, keys: StatusTagKeys): StatusTagPlan {
  const { actual, state, wroteBefore, mayDelete } = situation;
  const current = actual.get(keys.state);
  const isNew = current === undefined;
  const isForeign = isNew ? actual.size > 0 && !wroteBefore : !areOwn(actual, keys);
  if (isForeign) return { kind: "foreign", key: isNew ? ([...actual.keys()][0] ?? keys.state) : keys.state };
  const change = (key: string, value: string | undefined, instead: string): TagChange[] => {
    const wanted = value ?? (mayDelete || !actual.has(key) ? undefined : instead);
    return actual.get(key) === wanted ? [] : [{ key, value: wanted }];
  };
  const word = change(keys.state, state?.word, STOPPED);
  const others = [...change(keys.url, valueOf(state?.url), ""), ...change(keys.cause, valueOf(state?.cause), "")];
  return { kind: "change", changes: isNew ? [...word, ...others] : [...others, ...word] };
}

/** A text in the form that a tag takes: one line, and not too long. */
function valueOf(text: string | undefined): string | undefined {
  const line = text === undefined ? undefined : cutText(text.replace(/\s+/g, " ").trim(), MAXIMUM_VALUE_LENGTH);
  return line === "" ? undefined : line;
}
