import { formatKey } from "../support/model-version-key";
import type { ModelVersionKey } from "../support/model-version-key";
import type { PageSource, PublishedChange, PublishedVersion } from "./published";
import type { KnownVersion } from "./version-states";

/** Changed versions that are remembered; who missed more needs all of them anew. */
const CAPACITY = 5_000;

/** All versions with their states, and what changed since when. */
export interface PublishedVersions extends Pick<PageSource, "snapshot" | "since" | "subscribe"> {
  /** A version changed. */
  readonly changed: (key: ModelVersionKey) => void;
  readonly describe: (version: KnownVersion) => PublishedVersion | undefined;
}

export interface PublishedVersionsOptions {
  readonly get: (key: ModelVersionKey) => KnownVersion | undefined;
  readonly all: () => Iterable<KnownVersion>;
  readonly namespace: string;
  /** The name that a version's service has or would have; undefined where it cannot have one. */
  readonly nameOf: (key: ModelVersionKey) => string | undefined;
}

export function createPublishedVersions(options: PublishedVersionsOptions): PublishedVersions {
  const { get, all, namespace, nameOf } = options;
  /** The revision at which each version changed last, the oldest first. */
  const changedAt = new Map<string, { readonly revision: number; readonly key: ModelVersionKey }>();
  const listeners = new Set<(change: PublishedChange) => void>();
  let revision = 0;
  /** Of changes before this one, some are forgotten. */
  let complete = 0;

  const describe = ({ key, state, service }: KnownVersion): PublishedVersion | undefined =>
    state && { ...key, namespace, inferenceService: service?.name ?? nameOf(key), state };

  const changeOf = (keys: Iterable<ModelVersionKey>): PublishedChange => {
    const changed: PublishedVersion[] = [];
    const removed: ModelVersionKey[] = [];
    for (const key of keys) {
      const known = get(key);
      const published = known && describe(known);
      if (published === undefined) removed.push(key);
      else changed.push(published);
    }
    return { revision, changed, removed };
  };

  return {
    describe,
    changed(key) {
      revision++;
      const id = formatKey(key);
      changedAt.delete(id);
      changedAt.set(id, { revision, key });
      if (changedAt.size > CAPACITY) {
        const [oldest] = changedAt;
        if (oldest !== undefined) {
          changedAt.delete(oldest[0]);
          complete = oldest[1].revision;
        }
      }
      if (listeners.size === 0) return;
      const change = changeOf([key]);
      for (const listener of listeners) listener(change);
    },
    snapshot: () => ({ revision, versions: [...all()].flatMap(known => describe(known) ?? []) }),
    since(known) {
      if (known < complete || known > revision) return undefined;
      return changeOf([...changedAt.values()].filter(one => one.revision > known).map(({ key }) => key));
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
