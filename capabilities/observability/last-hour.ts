/** Minutes that are kept. */
const MINUTES = 60;

/** Values of the last hour, one a minute. */
export interface LastHour {
  /** Adds those of the minute that ends, always of the same names; NaN where there is none. */
  readonly add: (values: Readonly<Record<string, number>>) => void;
  /** A value of each minute by name, newest last: as many as were added, sixty at the most. */
  readonly series: () => { readonly name: string; readonly values: readonly number[] }[];
}

export function createLastHour(): LastHour {
  const values = new Map<string, number[]>();
  return {
    add(minute) {
      for (const [name, value] of Object.entries(minute)) {
        const known = values.get(name) ?? [];
        known.push(value);
        if (known.length > MINUTES) known.shift();
        values.set(name, known);
      }
    },
    series: () => [...values].map(([name, known]) => ({ name, values: [...known] })),
  };
}
