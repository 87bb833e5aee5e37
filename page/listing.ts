import { STATE_WORDS } from "../capabilities/status/published";
import type { PublishedVersion, StateWord } from "../capabilities/status/published";
import type { ModelVersionKey } from "../capabilities/support/model-version-key";

/** What of the versions is looked at. */
export interface Filter {
  /** Words, in any order, each of which has to be somewhere in what is shown of a version. */
  readonly search: string;
  /** None: all. */
  readonly states: readonly StateWord[];
  /** "": all. */
  readonly namespace: string;
}

/** All versions. */
export const NO_FILTER: Filter = { search: "", states: [], namespace: "" };

/** A name for a version that no other has. */
export function idOf({ model, version }: ModelVersionKey): string {
  return JSON.stringify([model, version]);
}

const names = new Intl.Collator("en", { numeric: true });
const RANKS: ReadonlyMap<StateWord, number> = new Map(STATE_WORDS.map((word, rank) => [word, rank]));

/** In the order of the page: what a person has to act on, first; then by name, the newest version first. */
export function sorted(versions: Iterable<PublishedVersion>): PublishedVersion[] {
  const rank = ({ state }: PublishedVersion): number => RANKS.get(state.word) ?? 0;
  return [...versions].sort(
    (one, other) =>
      rank(one) - rank(other) ||
      names.compare(one.model, other.model) ||
      names.compare(other.version, one.version) ||
      (one.model < other.model ? -1 : 1),
  );
}

const texts = new WeakMap<PublishedVersion, string>();

function textOf(version: PublishedVersion): string {
  let text = texts.get(version);
  if (text === undefined) {
    const { model, version: number, namespace, inferenceService = "", state } = version;
    text = [model, `v${number}`, namespace, inferenceService, state.word, state.url ?? "", state.cause ?? ""]
      .join("\n")
      .toLowerCase();
    texts.set(version, text);
  }
  return text;
}

/** Those that are looked at, in the same order. */
export function filtered(versions: readonly PublishedVersion[], filter: Filter): PublishedVersion[] {
  const words = filter.search.toLowerCase().split(/\s+/).filter(Boolean);
  return versions.filter(
    version =>
      (filter.states.length === 0 || filter.states.includes(version.state.word)) &&
      (filter.namespace === "" || version.namespace === filter.namespace) &&
      words.every(word => textOf(version).includes(word)),
  );
}

/** How many are in each state. */
export function counted(versions: readonly PublishedVersion[]): ReadonlyMap<StateWord, number> {
  const counts = new Map<StateWord, number>(STATE_WORDS.map(word => [word, 0]));
  for (const { state } of versions) counts.set(state.word, (counts.get(state.word) ?? 0) + 1);
  return counts;
}

/** The namespaces that there are, by name. */
export function namespacesOf(versions: readonly PublishedVersion[]): string[] {
  return [...new Set(versions.map(({ namespace }) => namespace))].sort((one, other) => names.compare(one, other));
}

/** What a change makes of the versions; only what changed is another object than before. */
export function changedBy(
  versions: ReadonlyMap<string, PublishedVersion>,
  { changed, removed }: { readonly changed: readonly PublishedVersion[]; readonly removed: readonly ModelVersionKey[] },
): ReadonlyMap<string, PublishedVersion> {
  const after = new Map(versions);
  for (const key of removed) after.delete(idOf(key));
  for (const version of changed) after.set(idOf(version), version);
  return after;
}
