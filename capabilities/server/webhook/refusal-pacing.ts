import { setTimeout as sleep } from "node:timers/promises";

/** Milliseconds that a refusal waits at the most: senders that cut the connection must not leave ever more that wait. */
const LONGEST_WAIT = 1_000;

export interface PacingOptions {
  /** Refusals a second while deliveries are worked on. */
  readonly perSecond: number;
  /** Milliseconds after the last delivery for which that holds on: between two that come one after the other. */
  readonly lingers: number;
}

/**
 * Keeps a flood of what has no valid signature from taking the processor from those who are let in: while deliveries are
 * worked on, refusals are answered one after the other, and who sends more waits for the answer. With none to
 * disturb they are answered as fast as they come.
 */
export interface RefusalPacing {
  /** Resolves when a refusal may be answered; at once unless deliveries are worked on. */
  readonly turn: () => Promise<void>;
  /** Work for somebody who was let in. */
  readonly during: <T>(work: Promise<T>) => Promise<T>;
}

export function createRefusalPacing({ perSecond, lingers }: PacingOptions): RefusalPacing {
  const gap = 1000 / perSecond;
  let underWay = 0;
  let busyUntil = -Infinity;
  let next = 0;
  return {
    async turn() {
      const now = performance.now();
      if (underWay === 0 && now > busyUntil) return;
      const mine = Math.max(next + gap, now);
      if (mine - now > LONGEST_WAIT) return;
      next = mine;
      if (mine > now) await sleep(mine - now);
    },
    async during(work) {
      underWay++;
      try {
        return await work;
      } finally {
        underWay--;
        busyUntil = performance.now() + lingers;
      }
    },
  };
}
