import { formatKey } from "../support/model-version-key";
import type { ModelVersionKey } from "../support/model-version-key";
import type { MlflowReader, ModelSearch, ModelVersion } from "./client";
import { MlflowError } from "./errors";
import { isSearchable, MINIMUM_BATCH, takeSearchBatch } from "./search-batch";
import type { SearchBatch } from "./search-batch";

/** Reads of single versions at the same time. MLflow answers no more per second when asked for more at once. */
const DIRECT_READS = 8;

/** Searches at the same time: while one is answered, the next gathers. */
const SEARCHES = 2;

/** Calls under way at which a further read waits for company instead of going by itself. */
const EAGER_CALLS = 2;

/** Milliseconds for which it holds what MLflow showed that its search can do or cannot; then another may have replaced it. */
const SHOWN_FOR = 600_000;

interface WaitingRead {
  readonly key: ModelVersionKey;
  readonly resolve: (version: ModelVersion | undefined | PromiseLike<ModelVersion | undefined>) => void;
}

/**
 * A reader that answers many reads of single versions by one search for their models: MLflow needs for thirty versions
 * in one answer as long as for three, each by itself, and a burst of deliveries asks for hundreds.
 *
 * Nothing is answered from before it was asked: a search answers only reads that waited when it began. A version that the
 * search does not have is read by itself, so that an absence is never taken for an answer. So is one that a search shows
 * without any tag, unless some version was shown with tags lately: there are registries whose searches leave them out, and
 * a version that only seems to have lost its tag would lose its service.
 *
 * @param tagKey the tag that is searched for where the versions that are asked for have too many neighbours
 */
export function createBatchingReader(reader: MlflowReader & ModelSearch, tagKey: string): MlflowReader {
  /** For whatever is quicker. */
  const waiting: WaitingRead[] = [];
  /** Those that no search answers. */
  const waitingForDirectRead: WaitingRead[] = [];
  let directReads = 0;
  let searches = 0;
  let refusedUntil = -Infinity;
  let tellsTagsUntil = -Infinity;
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

  /** @returns those that the search tells all about */
  const withTags = (found: readonly ModelVersion[]): readonly ModelVersion[] => {
    if (found.some(({ tags }) => tags.size > 0)) tellsTagsUntil = performance.now() + SHOWN_FOR;
    return performance.now() < tellsTagsUntil ? found : [];
  };

  const searchFor = async ({ reads, numbers }: SearchBatch<WaitingRead>): Promise<void> => {
    searches++;
    const byKey = new Map<string, ModelVersion>();
    try {
      const models = [...new Set(reads.map(({ key }) => key.model))];
      const found = await (numbers === undefined
        ? reader.findTagged(models, tagKey)
        : reader.findNumbered(models, numbers));
      for (const version of withTags(found)) byKey.set(formatKey(version), version);
    } catch (error) {
      // Each of the reads, done by itself, tells its own error.
      if (error instanceof MlflowError && error.kind === "refused") refusedUntil = performance.now() + SHOWN_FOR;
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
      if (!alone && waiting.length >= MINIMUM_BATCH && searches < SEARCHES) void searchFor(takeSearchBatch(waiting));
      else if (directReads + searches < (alone ? DIRECT_READS : EAGER_CALLS)) start(waiting.shift());
      else return;
    }
  };

  const start = (read: WaitingRead | undefined): void => {
    read?.resolve(readDirectly(read.key));
  };

  return {
    ...reader,
    async searchTagged(key) {
      const found = await reader.searchTagged(key);
      withTags(found);
      return found;
    },
    getModelVersion: key =>
      new Promise(resolve => {
        const list = isSearchable(key) ? waiting : waitingForDirectRead;
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
