import { rate, ratio, time, whole } from "./figures";
import type { StatusTagResults } from "./results";
import type { Table } from "./tables";

/** What the status tags cost, and how soon the status page shows what is. */
export function statusTagTables(results: StatusTagResults): Table[] {
  return [deliveryTable(results), readyTable(results), pageTable(results)];
}

function deliveryTable({ levels }: StatusTagResults): Table {
  return {
    title: "Deliveries while the watcher writes status tags, beside those while it writes none",
    head: ["clients", "without/s", "p50", "with/s", "p50", "rate with of without", "p50 with of without"],
    rows: levels.map(({ clients, off, on }) => [
      ...[String(clients), rate(off.perSecond), time(off.p50), rate(on.perSecond), time(on.p50)],
      ...[ratio(on.perSecond / off.perSecond), ratio(on.p50 / off.p50)],
    ]),
    notes: [],
  };
}

function readyTable({ ready: { versions, secondsToReady, secondsToTags, person } }: StatusTagResults): Table {
  const { alone, meanwhile } = person;
  return {
    title: "Versions that become Ready at once, and a person's tag until its InferenceService is there",
    head: ["versions", "all Ready", "all tags written", "a tag before", "meanwhile", "of before"],
    rows: [
      [
        ...[whole(versions), `${secondsToReady.toFixed(1)} s`, `${secondsToTags.toFixed(1)} s`],
        ...[time(alone.p50), time(meanwhile.p50), ratio(meanwhile.p50 / alone.p50)],
      ],
    ],
    notes: [
      `The person's tags are medians of ${alone.count} and ${meanwhile.count}; the slowest twentieth took ${time(alone.p95)} and ${time(meanwhile.p95)}.`,
    ],
  };
}

function pageTable({ page: { versions, painted, changes } }: StatusTagResults): Table {
  return {
    title: "The status page in Chromium",
    head: ["versions", "painted after the answer", "a new one shown after the cluster's word", "p95", "of"],
    rows: [[whole(versions), time(painted), time(changes.p50), time(changes.p95), whole(changes.count)]],
    notes: [],
  };
}
