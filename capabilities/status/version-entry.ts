import type { ServiceFacts } from "../kserve/service-facts";
import type { ModelVersion } from "../mlflow/client";
import { decide } from "../reconciliation/decision";
import type { Failure } from "../reconciliation/failures";
import type { ModelVersionKey } from "../support/model-version-key";
import { withoutVolatileParts } from "./failure-memory";
import type { VersionState } from "./published";
import { statusTagsOf } from "./status-tags";
import type { StatusTagKeys } from "./status-tags";
import type { Wish } from "./version-state";

/** What is known of one version, each part with the moment that it is of. */
export interface VersionEntry {
  readonly key: ModelVersionKey;
  wish: Wish | undefined;
  wishFrom: number;
  service: ServiceFacts | undefined;
  serviceFrom: number;
  /** The service that the watch saw go last. */
  goneUid: string | undefined;
  hold: string | undefined;
  /** A failure that is over, since somebody made a service all the same. */
  overcome: Failure | undefined;
  tags: ReadonlyMap<string, string> | undefined;
  tagsFrom: number;
  isUncertain: boolean;
  /** Its service went, and nobody knows yet what MLflow says about it. */
  isUnsettled: boolean;
  state: VersionState | undefined;
}

export function newEntry({ model, version }: ModelVersionKey): VersionEntry {
  return {
    ...{ key: { model, version }, wish: undefined, service: undefined, hold: undefined, overcome: undefined },
    ...{ wishFrom: 0, serviceFrom: 0, tagsFrom: 0, tags: undefined, isUncertain: false },
    ...{ isUnsettled: false, goneUid: undefined, state: undefined },
  };
}

/** Takes what MLflow said at a moment, unless something newer is known. */
export function learnWish(
  entry: VersionEntry,
  version: ModelVersion | undefined,
  from: number,
  deployTagKey: string,
): void {
  if (entry.wishFrom > from) return;
  const decision = decide(version, deployTagKey);
  entry.wish = decision.kind === "serve" ? { kind: "serve" } : decision;
  entry.wishFrom = from;
}

/** Takes the status tags that MLflow had at a moment, unless something newer is known, as what was written since. */
export function learnTags(
  entry: VersionEntry,
  version: ModelVersion | undefined,
  from: number,
  keys: StatusTagKeys,
): void {
  if (entry.tagsFrom > from) return;
  entry.tags = version === undefined ? new Map() : statusTagsOf(version.tags, keys);
  entry.tagsFrom = from;
  entry.isUncertain = false;
}

/** Takes the service that there was at a moment, unless something newer is known. */
export function placeService(entry: VersionEntry, service: ServiceFacts | undefined, from: number): void {
  if (entry.serviceFrom > from) return;
  entry.service = service;
  entry.serviceFrom = from;
}

/** Whether two states are told alike: what differs each time that the same is said does not count. */
export function isSameState(one: VersionState, other: VersionState): boolean {
  if (one.word !== other.word || one.url !== other.url || one.since !== other.since) return false;
  return withoutVolatileParts(one.cause ?? "") === withoutVolatileParts(other.cause ?? "");
}
