import type { Mode } from "./health";
import { MODES } from "./metrics";

/** Numbers by the label of their series. */
export type Counts = ReadonlyMap<string, number>;

/** What a process has counted of its deliveries. */
export interface DeliveryCounts {
  /** Deliveries answered, by result. */
  readonly results: Counts;
  /** Deliveries that took at most so long, by that time in seconds as `le` has it: each with those that took less. */
  readonly durations: Counts;
}

/** What a process that takes deliveries says of itself in its /metrics. */
export interface DeliveryMetrics {
  /** undefined when the text is not that of an mlflow-kserve. */
  readonly mode: Mode | undefined;
  /** When it started, in Unix time; undefined when it does not say. */
  readonly startedAt: number | undefined;
  readonly counts: DeliveryCounts;
}

export const NO_DELIVERIES: DeliveryCounts = { results: new Map(), durations: new Map() };

/** The lines that are looked for as prom-client writes them: each with one label. */
const SAMPLE =
  /^(webhook_deliveries_total|webhook_processing_duration_seconds_bucket|listener_mode)\{\w+="([^"\\]*)"\} (\d\S*)$/gm;

/** The line without a label. */
const STARTED = /^process_start_time_seconds (\d\S*)$/m;

/** Reads it from Prometheus' text format. */
export function readDeliveryMetrics(text: string): DeliveryMetrics {
  const [results, durations] = [new Map<string, number>(), new Map<string, number>()];
  let mode: Mode | undefined;
  for (const [, metric, label = "", value] of text.matchAll(SAMPLE)) {
    if (metric === "listener_mode") mode = value === "1" ? (MODES.find(one => one === label) ?? mode) : mode;
    else (metric === "webhook_deliveries_total" ? results : durations).set(label, Number(value));
  }
  const started = STARTED.exec(text)?.[1];
  return { mode, startedAt: started === undefined ? undefined : Number(started), counts: { results, durations } };
}

/** What was counted between two looks at one process; when it restarted between them, what it has counted since. */
export function countedBetween(before: DeliveryCounts, now: DeliveryCounts): DeliveryCounts {
  const restarted = (["results", "durations"] as const).some(what =>
    [...before[what]].some(([label, count]) => (now[what].get(label) ?? 0) < count),
  );
  return restarted ? now : combined(now, before, (counted, known) => counted - known);
}

/** What two processes, or two times, have counted together. */
export function sumOf(one: DeliveryCounts, other: DeliveryCounts): DeliveryCounts {
  return combined(one, other, (a, b) => a + b);
}

function combined(
  one: DeliveryCounts,
  other: DeliveryCounts,
  combine: (one: number, other: number) => number,
): DeliveryCounts {
  const both = (what: keyof DeliveryCounts): Counts =>
    new Map(
      [...one[what].keys(), ...other[what].keys()].map(label => [
        label,
        combine(one[what].get(label) ?? 0, other[what].get(label) ?? 0),
      ]),
    );
  return { results: both("results"), durations: both("durations") };
}

/**
 * The median in seconds, as Prometheus' histogram_quantile tells it: within a bucket all times are taken for equally usual, and
 * beyond the last bound for that bound.
 *
 * @returns NaN when nothing was counted
 */
export function medianSeconds({ durations }: Pick<DeliveryCounts, "durations">): number {
  const buckets = [...durations]
    .map(([bound, count]) => ({ bound: bound === "+Inf" ? Infinity : Number(bound), count }))
    .sort((a, b) => a.bound - b.bound);
  const half = (buckets.at(-1)?.count ?? 0) / 2;
  if (half === 0) return NaN;
  let below = { bound: 0, count: 0 };
  for (const bucket of buckets) {
    if (bucket.count >= half) {
      if (bucket.bound === Infinity) break;
      const share = (half - below.count) / (bucket.count - below.count);
      return below.bound + share * (bucket.bound - below.bound);
    }
    below = bucket;
  }
  return below.bound;
}
