import { formatKey } from "../model-version-key";
import type { ModelVersionKey } from "../model-version-key";
import type { MlflowReader, ModelVersion } from "./client";

/** Reads of single versions at the same time. MLflow answers no more per second when asked for more at once. */
const DIRECT_READS = 8;

/** Weight of the newest measurement in the running averages of what a call costs. */
const NEWEST = 0.3;

/** Milliseconds that a search of all tagged versions is taken to last before one was measured. */
const FIRST_SEARCH_ESTIMATE = 250;

interface WaitingRead {
  readonly key: ModelVersionKey;
  readonly resolve: (version: ModelVersion | undefined | PromiseLike<ModelVersion | undefined>) => void;
}

/**
 * A reader that answers many reads of single versions by one search of all tagged ones, where that is quicker: MLflow
 * needs as long for some thirty versions of a search as for one by itself, and a burst of deliveries asks for hundreds.
 *
 * Nothing is answered from before it was asked: a search answers only reads that waited when it began. And a version that
 * the search does not have is read by itself, so that an absence is never taken for an answer.
 *
 * @param tagKey the tag that is searched for; versions without it are always read by themselves
 */
export function createBatchingReader(reader: MlflowReader, tagKey: string): MlflowReader {
  const waiting: WaitingRead[] = [];
  /** Those that a search did not answer; no further one would. */
  const waitingForDirectRead: WaitingRead[] = [];
  let directReads = 0;
  let searching = false;
  let readCost = 0;
  let searchCost = FIRST_SEARCH_ESTIMATE;

  const searchTagged: MlflowReader["searchTagged"] = async key => {
    const start = performance.now();
    const found = await reader.searchTagged(key);
    if (key === tagKey) searchCost = average(searchCost, performance.now() - start);
    return found;
  };

  const readDirectly = async (key: ModelVersionKey): Promise<ModelVersion | undefined> => {
    directReads++;
    const start = performance.now();
    try {
      return await reader.getModelVersion(key);
    } finally {
      directReads--;
      readCost = average(readCost, performance.now() - start);
      goOn();
    }
  };

  const searchFor = async (reads: readonly WaitingRead[]): Promise<void> => {
    searching = true;
    const byKey = new Map<string, ModelVersion>();
    try {
      for (const version of await searchTagged(tagKey)) byKey.set(formatKey(version), version);
    } catch {
      // Each of the reads, done by itself, tells its own error.
    }
    searching = false;
    for (const read of reads) {
      const version = byKey.get(formatKey(read.key));
      if (version === undefined) waitingForDirectRead.push(read);
      else read.resolve(version);
    }
    goOn();
  };

  const goOn = (): void => {
    while (directReads < DIRECT_READS) {
      const next = waitingForDirectRead.shift() ?? waiting.shift();
      if (next === undefined) return;
      next.resolve(readDirectly(next.key));
    }
    const isSearchQuicker = (waiting.length * readCost) / DIRECT_READS > searchCost;
    if (!searching && isSearchQuicker) void searchFor(waiting.splice(0));
  };

  return {
    ...reader,
    searchTagged,
    getModelVersion: key =>
      new Promise(resolve => {
        waiting.push({ key, resolve });
        goOn();
      }),
  };
}

function average(before: number, measured: number): number {
  return before + NEWEST * (measured - before);
}
