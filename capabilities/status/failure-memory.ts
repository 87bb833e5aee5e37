import { createHash } from "node:crypto";
import type { Failure } from "../reconciliation/failures";

/** Versions whose failures are remembered, so a few megabytes; of more, the oldest are told again. */
const CAPACITY = 50_000;

/** What is told of a version whose reconcile failed. */
export interface ToldFailure {
  /** As it was told first; later ones may differ in what {@link withoutVolatileParts} takes away. */
  readonly failure: Failure;
  /** Whether it is another one than the last time, or the first. */
  readonly isNew: boolean;
}

/** Remembers what was told of each version last, so that it is said on change and not on repetition. */
export interface FailureMemory {
  /** A reconcile failed. */
  failed: (id: string, failure: Failure) => ToldFailure;
  /** A reconcile succeeded. @returns the failure that is over, if one was told */
  succeeded: (id: string) => Failure | undefined;
  /**
   * A poll ended; versions that it did not find open any more are over, unless they failed since the last poll.
   *
   * @returns the ids of those
   */
  pollEnded: (open: ReadonlySet<string>) => readonly string[];
  /** The failure that is not over, as it was told. */
  failureOf: (id: string) => Failure | undefined;
  /** How many there are of each group, as {@link groupOf} names it. */
  counts: () => ReadonlyMap<string, number>;
}

interface Entry {
  readonly failure: Failure;
  readonly digest: string;
  /** Failed since the last poll ended. */
  fresh: boolean;
}

export function createFailureMemory(capacity = CAPACITY): FailureMemory {
  const entries = new Map<string, Entry>();
  return {
    failed(id, failure) {
      const digest = digestOf(failure);
      const known = entries.get(id);
      if (known?.digest === digest) {
        known.fresh = true;
        return { failure: known.failure, isNew: false };
      }
      entries.delete(id);
      entries.set(id, { failure, digest, fresh: true });
      if (entries.size > capacity) {
        const oldest = entries.keys().next();
        if (!oldest.done) entries.delete(oldest.value);
      }
      return { failure, isNew: true };
    },
    succeeded(id) {
      const failure = entries.get(id)?.failure;
      entries.delete(id);
      return failure;
    },
    pollEnded(open) {
      const over: string[] = [];
      for (const [id, entry] of entries) {
        if (!open.has(id) && !entry.fresh) over.push(id);
        entry.fresh = false;
      }
      for (const id of over) entries.delete(id);
      return over;
    },
    failureOf: id => entries.get(id)?.failure,
    counts() {
      const counts = new Map<string, number>();
      for (const { failure } of entries.values()) {
        const group = groupOf(failure);
        counts.set(group, (counts.get(group) ?? 0) + 1);
      }
      return counts;
    },
  };
}

/** One word or two for all failures that are alike, as they stand in a summary. */
export function groupOf({ kind, status }: Failure): string {
  if (kind === "waiting") return "waiting";
  if (kind === "passing") return "tried again";
  if (status === "conflict") return "name taken";
  return status === "rejected" ? "rejected" : "refused";
}

function digestOf({ kind, status, uid = "", message }: Failure): string {
  const text = JSON.stringify([kind, status, uid, withoutVolatileParts(message)]);
  return createHash("sha256").update(text).digest("base64");
}

/**
 * A message without what differs each time that the same is said: uids, times, durations, resource versions, ports, what
 * of a quota is used. Other numbers stay, such as those of a limit that somebody changed.
 */
export function withoutVolatileParts(message: string): string {
  return message
    .replace(/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/gi, "<uid>")
    .replace(/\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| ?[+-]\d\d:?\d\d)?/g, "<time>")
    .replace(/\b\d\d:\d\d:\d\d(\.\d+)?\b/g, "<time>")
    .replace(/\b\d+(\.\d+)? ?(ms|µs|s|seconds|minutes)\b/g, "<duration>")
    .replace(/(\b(?:\d{1,3}\.){3}\d{1,3}|\[[0-9a-f:]+\]):\d+\b/gi, "$1:<port>")
    .replace(/\b0x[0-9a-f]+\b/gi, "<address>")
    .replace(/(\bresourceVersion"?[:= ]+"?)\d+/gi, "$1<version>")
    .replace(/(\b(?:requested|used): )\S+?(?=,? |;|$)/g, "$1<amount>");
}
