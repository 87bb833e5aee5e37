/** Adds up the time that was spent waiting. */
export function stopwatch(): { during: <T>(work: Promise<T>) => Promise<T>; milliseconds: () => number } {
  let total = 0;
  return {
    async during(work) {
      const start = performance.now();
      try {
        return await work;
      } finally {
        total += performance.now() - start;
      }
    },
    milliseconds: () => Math.round(total * 100) / 100,
  };
}
