/** Minutes that are kept. */
const MINUTES = 60;

/** Milliseconds. */
const MINUTE = 60_000;

/** Values of the last hour, one a minute. */
export interface LastHour {
  /** A value of each series, by name, newest last: as many as there are minutes since the start, sixty at the most. */
  readonly series: () => { readonly name: string; readonly values: readonly number[] }[];
  readonly stop: () => void;
}

/**
 * Takes a sample each minute.
 *
 * @param sample the values of now, always of the same names
 */
export function recordLastHour(sample: () => Readonly<Record<string, number>>): LastHour {
  const values = new Map<string, number[]>();
  const take = (): void => {
    for (const [name, value] of Object.entries(sample())) {
      const known = values.get(name) ?? [];
      known.push(value);
      if (known.length > MINUTES) known.shift();
      values.set(name, known);
    }
  };
  const timer = setInterval(take, MINUTE);
  timer.unref();
  return {
    series: () => [...values].map(([name, known]) => ({ name, values: [...known] })),
    stop() {
      clearInterval(timer);
    },
  };
}
