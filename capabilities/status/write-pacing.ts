/** Services that come or go within {@link WITHIN} milliseconds, from which on deliveries are thought to be coming in a burst. */
const BURST = 5;
const WITHIN = 1_000;

/** Milliseconds from one look whether a burst is over to the next, and those for which it holds one writing up at the most. */
const LOOK_EVERY = 100;
const LONGEST_WAIT = 1_000;

/**
 * Lets people's own deliveries go first: MLflow makes a delivery of each tag that is written, and needs as much time for it as
 * for theirs. In a burst of them, which shows by the services that come and go, there is one writing a second.
 */
export interface WritePacing {
  /** A service has come, or is gone. */
  readonly serviceChanged: () => void;
  /** Resolves when the next writing may begin. */
  readonly turn: () => Promise<void>;
  /** Ends all waiting. */
  readonly stop: () => void;
}

/** @param now milliseconds on a clock that only goes forward */
export function createWritePacing(now: () => number = () => performance.now()): WritePacing {
  const changes: number[] = [];
  let isStopped = false;

  const isBurst = (): boolean => {
    const [first] = changes;
    return changes.length === BURST && first !== undefined && now() - first < WITHIN;
  };

  return {
    serviceChanged() {
      changes.push(now());
      if (changes.length > BURST) changes.shift();
    },
    async turn() {
      const since = now();
      while (isBurst() && now() - since < LONGEST_WAIT && !isStopped)
        await new Promise(resolve => setTimeout(resolve, LOOK_EVERY));
    },
    stop() {
      isStopped = true;
    },
  };
}
