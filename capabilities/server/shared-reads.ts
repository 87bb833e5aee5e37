/** What is read for whoever asks, by a name. */
export interface SharedReads<T> {
  /** @returns undefined when too many others are being read */
  readonly read: (name: string, read: () => Promise<T>) => Promise<T> | undefined;
}

/** How often the same is read again, and how much at once. */
export interface ReadLimits {
  /** Different names that are read at once. */
  readonly maximumReads: number;
  /** Milliseconds, after it was read, that something is given out again. @param took milliseconds that its reading took */
  readonly reuse: (took: number) => number;
  /** Names that are kept; of more, the oldest is forgotten. */
  readonly capacity: number;
}

/**
 * Lets all who ask for the same while it is read, or shortly after, have the same: however many pages are open, what they ask
 * costs the module and those behind it no more than a small part of their time. A failure is not kept.
 */
export function createSharedReads<T>({ maximumReads, reuse, capacity }: ReadLimits): SharedReads<T> {
  const known = new Map<string, Promise<T>>();
  let underWay = 0;
  return {
    read(name, read) {
      const shared = known.get(name);
      if (shared !== undefined) return shared;
      if (underWay >= maximumReads) return undefined;
      underWay++;
      const start = performance.now();
      const forget = (): void => {
        if (known.get(name) === reading) known.delete(name);
      };
      const reading = read()
        .then(
          value => {
            setTimeout(forget, reuse(performance.now() - start)).unref();
            return value;
          },
          (error: unknown) => {
            forget();
            throw error;
          },
        )
        .finally(() => underWay--);
      known.set(name, reading);
      const [oldest] = known.keys();
      if (known.size > capacity && oldest !== undefined) known.delete(oldest);
      return reading;
    },
  };
}
