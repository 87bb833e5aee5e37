import type { Sample } from "./process-sample";

/** How much more there may be than there was. */
export interface LeakLimits {
  /** Resident memory, median of the last samples to median of the first, as a share: 0.1 is ten per cent more. */
  readonly resident: number;
  /** Live objects, likewise. */
  readonly heap: number;
  /** Descriptors at the end more than at the start. */
  readonly descriptors: number;
}

/**
 * Time series that the module can have at the most: its labels have fixed values (capabilities/observability/metrics.ts), 11
 * entities by 6 actions, 7 operations by 7 statuses, and some ninety others. What is sent has thousands of values.
 */
const MAXIMUM_SERIES = 250;

/** What was measured while deliveries came. */
export interface LeakMeasurement {
  /** Before the first delivery. */
  readonly start: Sample;
  /** Of the time after the warm-up, in order. */
  readonly samples: readonly Sample[];
  /** When all is over and connections have been closed. */
  readonly end: Sample;
  /** What else went wrong, each in one sentence. */
  readonly incidents: readonly string[];
}

/** Growth of one kind of memory between the first and the last samples. Memory in MiB. */
export interface Growth {
  readonly first: number;
  readonly last: number;
  /** 0.1 is ten per cent more. */
  readonly share: number;
}

/**
 * The median of the first ninth of the samples after the warm-up and of the last one. Medians, since one sample may hit a moment in which the kernel or V8 tidies up.
 *
 * @throws Error when there is no sample
 */
export function growthOf(samples: readonly Sample[], measure: (sample: Sample) => number): Growth {
  const size = Math.max(1, Math.round(samples.length / 9));
  const first = median(samples.slice(0, size).map(measure));
  const last = median(samples.slice(-size).map(measure));
  return { first, last, share: last / first - 1 };
}

/** What is wrong with a measurement; empty when nothing leaks. */
export function leaksIn({ start, samples, end, incidents }: LeakMeasurement, limits: LeakLimits): string[] {
  const problems = [...incidents];
  for (const kind of ["resident", "heap"] as const) {
    const { first, last, share } = growthOf(samples, sample => sample[kind]);
    if (share > limits[kind]) {
      const [was, is] = [first.toFixed(1), last.toFixed(1)];
      problems.push(
        `${kind} memory grew by ${percent(share)}, from ${was} to ${is} MiB; ${percent(limits[kind])} is allowed`,
      );
    }
  }
  if (end.descriptors > start.descriptors + limits.descriptors) {
    problems.push(`${end.descriptors} descriptors are open, ${start.descriptors} were at the start`);
  }
  if (end.queue !== 0) problems.push(`${end.queue} model versions are still in the queue`);
  const series = Math.max(...samples.map(sample => sample.series), end.series);
  if (series > MAXIMUM_SERIES) problems.push(`there are ${series} time series; ${MAXIMUM_SERIES} are allowed`);
  return problems;
}

/** 0.123 as 12.3 %. */
export function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted[Math.floor(sorted.length / 2)];
  if (middle === undefined) throw new Error("there is nothing to take the median of");
  return middle;
}
