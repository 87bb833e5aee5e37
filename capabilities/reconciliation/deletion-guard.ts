import { formatKey } from "../support/model-version-key";
import type { ModelVersionKey } from "../support/model-version-key";
import { inParallel } from "../support/in-parallel";

/** Versions that MLflow is asked about at the same time. */
const CONCURRENCY = 16;

/** What counts as a mass deletion, and what it takes to believe in it. */
export interface DeletionGuardLimits {
  /** Part of all managed services (0 to 1) that one pass may delete without more ado. */
  readonly share: number;
  /** Number of services that one pass may always delete, however few there are. */
  readonly count: number;
  /** Further passes in a row that must confirm each deletion of a mass. */
  readonly confirmations: number;
}

/** What becomes of the services that one pass would delete. */
export interface Release {
  /** Those that may go now. */
  readonly released: readonly ModelVersionKey[];
  /** Number of those that stay until further passes confirmed them; not counted are those that MLflow wants served. */
  readonly held: number;
}

export interface DeletionGuard {
  /**
   * Decides which of the services that one pass would delete may go now. Normally all of them. A mass of them is held:
   * MLflow is asked about each version, and a service is let go only when MLflow said in this pass and in as many before
   * it as are demanded, each time positively, that it is to go. So a registry that was emptied, restored from an old
   * backup or mistaken for another one takes nothing down before people had time to see it.
   *
   * @param unwanted versions that have a service and were not among the tagged ones
   * @param managed number of all managed services
   */
  release: (unwanted: readonly ModelVersionKey[], managed: number) => Promise<Release>;
}

/**
 * Remembers, from pass to pass, what was confirmed how often. A new process begins anew, which only takes longer.
 *
 * @param isUnwanted asks MLflow about one version: true for a positive answer that it is to have no service. May reject.
 */
export function createDeletionGuard(
  limits: DeletionGuardLimits,
  isUnwanted: (key: ModelVersionKey) => Promise<boolean>,
): DeletionGuard {
  let confirmed = new Map<string, number>();

  return {
    async release(unwanted, managed) {
      if (!isMass(unwanted.length, managed, limits)) {
        confirmed = new Map();
        return { released: unwanted, held: 0 };
      }
      const before = confirmed;
      const now = new Map<string, number>();
      let wanted = 0;
      await inParallel(unwanted, CONCURRENCY, async key => {
        // No answer confirms nothing: counting starts again.
        const answer = await isUnwanted(key).catch(() => undefined);
        if (answer === true) now.set(formatKey(key), (before.get(formatKey(key)) ?? 0) + 1);
        else if (answer === false) wanted++;
      });
      confirmed = now;
      const released = unwanted.filter(key => (now.get(formatKey(key)) ?? 0) > limits.confirmations);
      return { released, held: unwanted.length - released.length - wanted };
    },
  };
}

function isMass(unwanted: number, managed: number, { share, count }: DeletionGuardLimits): boolean {
  return unwanted > count && unwanted > share * managed;
}
