import type { ModelVersionKey } from "../support/model-version-key";
import { isSearchableName } from "./client";
import type { VersionNumbers } from "./client";

/** Reads for which a search is worth it: it keeps MLflow as busy as two or three reads of single versions. */
export const MINIMUM_BATCH = 4;

/** Reads that one search answers at the most. */
const MAXIMUM_BATCH = 100;

/** Characters of the names in one search: with what is around them they stay below the 8 KiB of address that proxies take. */
const MAXIMUM_NAMES_LENGTH = 4000;

/**
 * Versions that a search may come upon for each that it is asked for. Sixteen more in an answer keep MLflow busy for a
 * seventh of what a read of one by itself does; without an end, a model with thousands of versions would cost more than
 * all the reads that are saved.
 */
const VERSIONS_FOR_EACH = 16;

/** Numbers that every database of MLflow's takes. */
const SEARCHABLE_NUMBER = /^[1-9]\d{0,8}$/;

/** Reads of single versions that one search answers. */
export interface SearchBatch<Read> {
  readonly reads: readonly Read[];
  /** Which versions of their models to search for; undefined for those with the tag, whatever their number. */
  readonly numbers: VersionNumbers | undefined;
}

/** Whether a search can be asked for this version. */
export function isSearchable({ model, version }: ModelVersionKey): boolean {
  return isSearchableName(model) && SEARCHABLE_NUMBER.test(version);
}

/**
 * Takes out the reads that go into one search: the first, and of those after it the ones whose numbers are near enough
 * for all versions in between to be in the answer. Where that leaves most of them waiting, all go into a search for the
 * versions with the tag, which are few for each model.
 *
 * @param waiting of versions that are each {@link isSearchable}, the longest waiting first
 */
export function takeSearchBatch<Read extends { readonly key: ModelVersionKey }>(waiting: Read[]): SearchBatch<Read> {
  const candidates = waiting.slice(0, countOfFitting(waiting));
  const near = new Set<Read>();
  const models = new Set<string>();
  let numbers: VersionNumbers = { first: Infinity, last: 0 };
  for (const read of candidates) {
    const number = Number(read.key.version);
    const wider = { first: Math.min(numbers.first, number), last: Math.max(numbers.last, number) };
    const modelCount = models.has(read.key.model) ? models.size : models.size + 1;
    if (modelCount * (wider.last - wider.first + 1) > VERSIONS_FOR_EACH * (near.size + 1)) continue;
    numbers = wider;
    models.add(read.key.model);
    near.add(read);
  }
  if (near.size < Math.max(MINIMUM_BATCH, candidates.length / 2)) {
    waiting.splice(0, candidates.length);
    return { reads: candidates, numbers: undefined };
  }
  waiting.splice(0, candidates.length, ...candidates.filter(read => !near.has(read)));
  return { reads: [...near], numbers };
}

function countOfFitting(waiting: readonly { readonly key: ModelVersionKey }[]): number {
  let [count, length] = [0, 0];
  for (const { key } of waiting) {
    // Escaped in an address, a character may become nine.
    length += encodeURIComponent(key.model).length;
    if (count > 0 && (count === MAXIMUM_BATCH || length > MAXIMUM_NAMES_LENGTH)) break;
    count++;
  }
  return count;
}
