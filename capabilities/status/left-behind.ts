import type { MlflowReader, ModelVersion } from "../mlflow/client";
import { deploys } from "../mlflow/deploy-tag";
import { messageOf } from "../observability/logging";
import type { Log } from "../observability/logging";
import { inParallel } from "../support/in-parallel";
import type { ModelVersionKey } from "../support/model-version-key";
import { areOwn, DEFAULT_STATUS_TAG_PREFIX } from "./status-tags";
import type { StatusTagKeys } from "./status-tags";

/** Versions that MLflow is asked about at the same time: people's own calls go first. */
const CONCURRENCY = 2;

export interface LeftBehindOptions {
  readonly mlflow: Pick<MlflowReader, "getModelVersion" | "searchWithTag">;
  readonly deployTagKey: string;
  readonly tagKeys: StatusTagKeys;
  /** Whether something is known of a version already. */
  readonly isKnown: (key: ModelVersionKey) => boolean;
  readonly log: Log;
}

/**
 * Finds versions with status tags that this installation may have written: those that nobody else knows of are left behind
 * when a process ends between a service's end and its tags'. Where a search tells no tags, each version that it finds and of
 * which nothing is known is read; of those that are known it is only told that they have some. Never rejects.
 */
export function createLeftBehindSearch(options: LeftBehindOptions): () => Promise<readonly ModelVersion[]> {
  const { mlflow, deployTagKey, tagKeys, isKnown, log } = options;

  /**
   * Another installation's version, as its own tag `deploy…` tells: what stands there is that one's, unless this one was given
   * a prefix of its own.
   */
  const isServedByOthers = (tags: ReadonlyMap<string, string>): boolean =>
    tagKeys.state === DEFAULT_STATUS_TAG_PREFIX &&
    [...tags].some(([key, value]) => key !== deployTagKey && /^deploy/i.test(key) && deploys(value));

  return async () => {
    try {
      const found = await mlflow.searchWithTag(tagKeys.state);
      const read = await inParallel(found, CONCURRENCY, async version =>
        version.tags.size > 0 || isKnown(version) ? version : await mlflow.getModelVersion(version),
      );
      return read
        .filter(version => version !== undefined)
        .filter(({ tags }) => tags.size === 0 || (areOwn(tags, tagKeys) && !isServedByOthers(tags)));
    } catch (error) {
      log.debug({ cause: messageOf(error) }, "MLflow could not be searched for status tags that were left behind");
      return [];
    }
  };
}
