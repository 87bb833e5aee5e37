import type { LeakRun } from "./leak-run";
import { growthOf, percent } from "./leak-verdict";
import type { Sample } from "./process-sample";

const COLUMNS: readonly (readonly [title: string, of: (sample: Sample) => string])[] = [
  ["deliveries", ({ deliveries }) => String(deliveries)],
  ["RSS MiB", ({ residentBefore }) => residentBefore.toFixed(1)],
  ["after GC", ({ resident }) => resident.toFixed(1)],
  ["heap MiB", ({ heap }) => heap.toFixed(1)],
  ["descriptors", ({ descriptors }) => String(descriptors)],
  ["series", ({ series }) => String(series)],
  ["queue", ({ queue }) => String(queue)],
];

/** The table's head. */
export const SAMPLE_HEAD = row(COLUMNS.map(([title]) => title));

/** One line of the table. */
export function describeSample(sample: Sample): string {
  return row(COLUMNS.map(([, of]) => of(sample)));
}

/** What was sent and answered, how memory grew, and the verdict, as lines. */
export function describeRun(run: LeakRun): string[] {
  const lines = ["", `${"sent".padStart(8)}  kind: answers by status`];
  for (const [kind, { sent, answers }] of [...run.report.kinds].sort(([, one], [, other]) => other.sent - one.sent)) {
    const counts = Object.entries(answers).map(([answer, count]) => `${answer}: ${count}`);
    lines.push(`${String(sent).padStart(8)}  ${kind}: ${counts.join(", ")}`);
  }
  lines.push("");
  for (const kind of ["residentBefore", "resident", "heap"] as const) {
    const { first, last, share } = growthOf(run.samples, sample => sample[kind]);
    const name = { residentBefore: "RSS", resident: "RSS after GC", heap: "heap after GC" }[kind];
    lines.push(
      `${name}: median ${first.toFixed(1)} MiB after the warm-up, ${last.toFixed(1)} at the end (${percent(share)})`,
    );
  }
  const rate = (run.end.deliveries / run.seconds).toFixed(0);
  lines.push(`${run.end.deliveries} deliveries in ${run.seconds.toFixed(0)} s, ${rate}/s`);
  lines.push(`descriptors: ${run.start.descriptors} at the start, ${run.end.descriptors} at the end`);
  return lines;
}

function row(cells: readonly string[]): string {
  return cells.map(cell => cell.padStart(12)).join("");
}
