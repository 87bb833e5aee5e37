/** Times of requests that some clients sent, each the next as soon as the last was answered. */
export interface Load {
  /** Milliseconds of each request. */
  readonly latencies: readonly number[];
  /** From the first request to the last answer. */
  readonly seconds: number;
}

/** What a load comes to. */
export interface LoadSummary {
  readonly count: number;
  readonly perSecond: number;
  /** Milliseconds that this share of the requests did not exceed. */
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** Does `one` for each index, by so many clients at a time. @throws the first error of `one` */
export async function runLoad(
  count: number,
  clients: number,
  one: (index: number) => Promise<unknown>,
  first = 0,
): Promise<Load> {
  const latencies: number[] = [];
  let next = 0;
  const start = performance.now();
  const client = async (): Promise<void> => {
    while (next < count) {
      const index = first + next++;
      const sent = performance.now();
      await one(index);
      latencies.push(performance.now() - sent);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return { latencies, seconds: (performance.now() - start) / 1000 };
}

/** Several loads of the same kind as one. */
export function summarize(...loads: readonly Load[]): LoadSummary {
  const latencies = loads.flatMap(load => load.latencies).sort((one, other) => one - other);
  const seconds = loads.reduce((sum, load) => sum + load.seconds, 0);
  const at = (share: number): number => latencies[Math.max(0, Math.ceil(latencies.length * share) - 1)] ?? NaN;
  return { count: latencies.length, perSecond: latencies.length / seconds, p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}

/** Things per second when each needs one of each, and all share what they are limited by. */
export function harmonicSum(...rates: readonly number[]): number {
  return 1 / rates.reduce((sum, rate) => sum + 1 / rate, 0);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const [low, high] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.ceil((sorted.length - 1) / 2)]];
  if (low === undefined || high === undefined) throw new Error("There is no median of nothing");
  return (low + high) / 2;
}
