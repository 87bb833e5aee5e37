/** Numbers that look random and are the same for the same seed, on every machine. */
export interface Random {
  /** A whole number between both bounds, bounds included. */
  integer: (least: number, most: number) => number;
  /** true with this probability, 0 to 1. */
  chance: (probability: number) => boolean;
  /** One of a list that is not empty. */
  pick: <T>(list: readonly T[]) => T;
  /** One of several things, each as often as its weight says. */
  weighted: <T>(choices: readonly (readonly [weight: number, choice: T])[]) => T;
  /** Another sequence, which goes on by itself: who draws from it does not shift this one. */
  fork: () => Random;
}

/** @param seed any whole number */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  // mulberry32: 32 bits of state are plenty for a few thousand draws, and close seeds give unlike sequences.
  const fraction = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const random: Random = {
    integer: (least, most) => least + Math.floor(fraction() * (most - least + 1)),
    chance: probability => fraction() < probability,
    pick(list) {
      const picked = list[Math.floor(fraction() * list.length)];
      if (picked === undefined) throw new Error("There is nothing to pick from");
      return picked;
    },
    weighted(choices) {
      let left = fraction() * choices.reduce((sum, [weight]) => sum + weight, 0);
      for (const [weight, choice] of choices) {
        left -= weight;
        if (left < 0) return choice;
      }
      return random.pick(choices)[1];
    },
    fork: () => createRandom(Math.floor(fraction() * 2 ** 32)),
  };
  return random;
}
