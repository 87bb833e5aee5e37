import { countedBetween, medianSeconds, NO_DELIVERIES, sumOf } from "../observability/delivery-counts";
import type { DeliveryCounts, DeliveryMetrics } from "../observability/delivery-counts";
import type { Mode } from "../observability/health";
import { createLastHour } from "../observability/last-hour";
import { DELIVERY_RESULTS } from "../observability/metrics";
import type { ModuleView } from "./published";

/** What a process that takes deliveries says of itself, or why it says nothing. */
export type DeliveryReport = {
  /** Tells it from the others. */
  readonly name: string;
} & (
  | {
      readonly mode: Mode;
      /** Why it is that mode, where a person might want another. */
      readonly cause?: string | undefined;
      /** See {@link DeliveryMetrics.startedAt}. */
      readonly startedAt: DeliveryMetrics["startedAt"];
      readonly counts: DeliveryCounts;
      readonly problem?: undefined;
    }
  | {
      /** Cause and cure. */
      readonly problem: string;
    }
);

/** The last hour of deliveries, of all processes together. */
export interface DeliveryHistory {
  /**
   * Takes what all of them say now. What one has counted since it was last heard belongs to this minute. One that is heard for
   * the first time may have counted for days, and begins with this, unless it has only just started.
   */
  readonly observe: (reports: readonly DeliveryReport[]) => void;
  /** This minute is over; one in which nobody was heard has no values. */
  readonly endMinute: () => void;
  readonly series: () => Pick<ModuleView, "deliveries" | "deliverySeconds">;
}

/**
 * Seconds for which a process counts as just started. With an installation, those that take deliveries may be there before the
 * one that asks them, or after its first look: it looks again after a minute.
 */
const JUST_STARTED = 300;

/** @param now the time, in Unix time */
export function createDeliveryHistory(now: () => number = () => Date.now() / 1000): DeliveryHistory {
  const [deliveries, deliverySeconds] = [createLastHour(), createLastHour()];
  let lastHeard = new Map<string, DeliveryCounts>();
  let minute: DeliveryCounts | undefined;

  return {
    observe(reports) {
      const heard = new Map<string, DeliveryCounts>();
      for (const report of reports) {
        const before = lastHeard.get(report.name);
        if (report.problem !== undefined) {
          if (before !== undefined) heard.set(report.name, before);
          continue;
        }
        const isNew = report.startedAt !== undefined && now() - report.startedAt < JUST_STARTED;
        const known = before ?? (isNew ? NO_DELIVERIES : report.counts);
        const counted = countedBetween(known, report.counts);
        minute = sumOf(minute ?? NO_DELIVERIES, counted);
        heard.set(report.name, report.counts);
      }
      // Who is not named is gone; unless nobody was heard, and so perhaps not even the names are known.
      if (reports.some(({ problem }) => problem === undefined)) lastHeard = heard;
    },

    endMinute() {
      const answered = minute?.results;
      const countOf = (result: string): number => (answered === undefined ? NaN : (answered.get(result) ?? 0));
      deliveries.add(Object.fromEntries(DELIVERY_RESULTS.map(result => [result, countOf(result)])));
      deliverySeconds.add({ median: medianSeconds(minute ?? NO_DELIVERIES) });
      minute = undefined;
    },

    series: () => ({ deliveries: deliveries.series(), deliverySeconds: deliverySeconds.series() }),
  };
}
