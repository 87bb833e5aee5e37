import { BoundedCache } from "../support/bounded-cache";

export interface DisagreementOptions {
  /** Milliseconds between the first correction and the second; each further pause is twice the one before. */
  readonly firstPause: number;
  /** Milliseconds of the longest pause. */
  readonly longestPause: number;
  /** Corrections after which it is worth a word. */
  readonly tellAfter: number;
  /** Milliseconds without a correction after which all is forgotten; more than the longest pause. */
  readonly quiet: number;
}

/** One side of a disagreement: what is put right here and changed again by others, so that neither may run hot. */
export interface Disagreements {
  /** Milliseconds until the next correction that is a reaction to the others; 0 when it may come at once. */
  readonly holdBack: (id: string) => number;
  /**
   * Notes a correction. One that is no reaction (a regular look that found the difference) makes no pause longer, but shows
   * that the disagreement lasts.
   *
   * @returns whether it is the one after which to tell of the disagreement
   */
  readonly corrected: (id: string, isReaction: boolean) => boolean;
  /** Whether it has been told, and has not been quiet since. */
  readonly isTold: (id: string) => boolean;
}

interface Disagreement {
  readonly reactions: number;
  readonly last: number;
}

/** Things that others disagree about at the same time; beyond that the oldest begin anew. */
const CAPACITY = 10_000;

/** @param now milliseconds on a clock that only goes forward */
export function createDisagreements(
  { firstPause, longestPause, tellAfter, quiet }: DisagreementOptions,
  now: () => number = () => performance.now(),
): Disagreements {
  const all = new BoundedCache<Disagreement>(CAPACITY);
  const lasting = (id: string): Disagreement | undefined => {
    const known = all.get(id);
    return known !== undefined && now() - known.last <= quiet ? known : undefined;
  };
  return {
    holdBack(id) {
      const known = lasting(id);
      if (known === undefined) return 0;
      const pause = Math.min(firstPause * 2 ** (known.reactions - 1), longestPause);
      return Math.max(0, known.last + pause - now());
    },
    corrected(id, isReaction) {
      const known = lasting(id);
      if (known === undefined && !isReaction) return false;
      const reactions = (known?.reactions ?? 0) + (isReaction ? 1 : 0);
      all.set(id, { reactions, last: now() });
      return isReaction && reactions === tellAfter;
    },
    isTold: id => (lasting(id)?.reactions ?? 0) >= tellAfter,
  };
}
