import { formatKey } from "../support/model-version-key";
import type { ModelVersionKey } from "../support/model-version-key";
import { isSearchableName } from "./client";
import type { MlflowReader, ModelSearch, ModelVersion } from "./client";
import { MlflowError } from "./errors";

/** Reads of single versions at the same time. MLflow answers no more per second when asked for more at once. */
const DIRECT_READS = 8;

/** Searches at the same time: while one is answered, the next gathers. */
const SEARCHES = 2;

/** Calls under way at which a further read waits for company instead of going by itself. */
const EAGER_CALLS = 2;

/** Reads for which a search is worth it: it keeps MLflow as busy as two or three reads of single versions. */
const MINIMUM_BATCH = 4;

/** Reads that one search answers at the most. */
const MAXIMUM_BATCH = 100;

/** Characters of the names in one search: with what is around them they stay below the 8 KiB of address that proxies take. */
const MAXIMUM_NAMES_LENGTH = 4000;

/** Milliseconds until MLflow is asked again for what it said that it cannot do; it may have been replaced by a newer one. */
const REFUSED_FOR = 600_000;

interface WaitingRead {
  readonly key: ModelVersionKey;
  readonly resolve: (version: ModelVersion | undefined | PromiseLike<ModelVersion | undefined>) => void;
}

/**
 * A reader that answers many reads of single versions by one search for their models: MLflow needs for thirty versions
 * in one answer as long as for three, each by itself, and a burst of deliveries asks for hundreds.
 *
 * Nothing is answered from before it was asked: a search answers only reads that waited when it began. And a version that
 * the search does not have is read by itself, so that an absence is never taken for an answer.
 *
 * @param tagKey the tag that is searched for; versions without it are always read by themselves
 */
export function createBatchingReader(reader: MlflowReader & ModelSearch, tagKey: string): MlflowReader {
  /** For whatever is quicker. */
  const waiting: WaitingRead[] = [];
  /** Those that no search answers. */
  const waitingForDirectRead: WaitingRead[] = [];
  let directReads = 0;
  let searches = 0;
  let refusedUntil = -Infinity;
  let goingOn = false;

  const readDirectly = async (key: ModelVersionKey): Promise<ModelVersion | undefined> => {
    directReads++;
    try {
      return await reader.getModelVersion(key);
    } finally {
      directReads--;
      goOn();
    }
  };

  const searchFor = async (reads: readonly WaitingRead[]): Promise<void> => {
    searches++;
    const byKey = new Map<string, ModelVersion>();
    try {
      const models = [...new Set(reads.map(({ key }) => key.model))];
      for (const version of await reader.findTagged(models, tagKey)) byKey.set(formatKey(version), version);
    } catch (error) {
      // Each of the reads, done by itself, tells its own error.
      if (error instanceof MlflowError && error.kind === "refused") refusedUntil = performance.now() + REFUSED_FOR;
    }
    searches--;
    for (const read of reads) {
      const version = byKey.get(formatKey(read.key));
      if (version === undefined) waitingForDirectRead.push(read);
      else read.resolve(version);
    }
    goOn();
  };

  const goOn = (): void => {
    while (waitingForDirectRead.length > 0 && directReads < DIRECT_READS) start(waitingForDirectRead.shift());
    while (waiting.length > 0) {
      const alone = performance.now() < refusedUntil;
      if (!alone && waiting.length >= MINIMUM_BATCH && searches < SEARCHES) void searchFor(takeBatch(waiting));
      else if (directReads + searches < (alone ? DIRECT_READS : EAGER_CALLS)) start(waiting.shift());
      else return;
    }
  };

  const start = (read: WaitingRead | undefined): void => {
    read?.resolve(readDirectly(read.key));
  };

  return {
    ...reader,
    getModelVersion: key =>
      new Promise(resolve => {
        const list = isSearchableName(key.model) ? waiting : waitingForDirectRead;
        list.push({ key, resolve });
        if (goingOn) return;
        // Not before all who ask at this moment have asked.
        goingOn = true;
        setImmediate(() => {
          goingOn = false;
          goOn();
        });
      }),
  };
}

/** Takes out the first reads that go into one search. */
function takeBatch(waiting: WaitingRead[]): WaitingRead[] {
  let [count, length] = [0, 0];
  for (const { key } of waiting) {
    // Escaped in an address, a character may become nine.
    length += encodeURIComponent(key.model).length;
    if (count > 0 && (count === MAXIMUM_BATCH || length > MAXIMUM_NAMES_LENGTH)) break;
    count++;
  }
  return waiting.splice(0, count);
}
