import { converged } from "./run-seed";
import type { Played } from "./run-seed";
import type { JournalEntry } from "./session";

/** One line about a seed. */
export function lineOf(played: Played): string {
  const { seed, settled, seconds, faults } = played;
  const operations = `${countOf(played, "done")} operations`;
  const wrong = sumOf(faults);
  const result = converged(played)
    ? `converged after ${(settled.seconds ?? 0).toFixed(1)} s`
    : `DIVERGED (${[...settled.differences.map(({ kind }) => kind), ...played.violations].join(", ")})`;
  const apart = [
    ...(settled.blocked > 0 ? [`${settled.blocked} names taken`] : []),
    ...(settled.handsOff > 0 ? [`${settled.handsOff} left to people`] : []),
  ];
  const tagged = `${settled.tagged} tagged${apart.length > 0 ? ` (${apart.join(", ")})` : ""}`;
  return `seed ${seed}: ${operations}, ${wrong} faults, ${tagged}, ${result}, ${seconds.toFixed(1)} s in all`;
}

/** All that helps to find out why a seed diverged. */
export function explain(played: Played, replay: string): string {
  const { settled, violations, journal, logFiles } = played;
  return [
    `Seed ${played.seed} diverged. Again: ${replay}`,
    // First, since who shows a failed test may show only its first lines.
    "What is wrong:",
    ...settled.differences.map(({ kind, name, detail }) => `  ${kind}: ${name}: ${detail}`),
    ...violations.map(text => `  ${text}`),
    "What happened (milliseconds after the music began):",
    ...journal.map(describeEntry),
    `After the music ${settled.polls} polls ended, ${settled.waiting} of them left something to a later one.`,
    "Errors that were logged after the music:",
    ...settled.errors.map(text => `  ${text}`),
    "Logs:",
    ...logFiles.map(file => `  ${file}`),
  ].join("\n");
}

/** The outcome of many seeds, as Markdown. */
export function summaryOf(all: readonly Played[]): string {
  const times = all.flatMap(({ settled }) => settled.seconds ?? []).sort((one, other) => one - other);
  const kinds = new Map<string, number>();
  for (const { faults } of all) for (const [kind, times] of faults) kinds.set(kind, (kinds.get(kind) ?? 0) + times);
  const count = (outcome: JournalEntry["outcome"]): number =>
    all.reduce((sum, played) => sum + countOf(played, outcome), 0);
  const rows: [string, string][] = [
    ["seeds", String(all.length)],
    ["divergences", String(all.filter(played => !converged(played)).length)],
    ["operations done", String(count("done"))],
    ["operations with nothing to do them to", String(count("missed"))],
    ["operations that MLflow or the API server refused", String(count("failed"))],
    ["versions tagged at the end, all seeds", String(all.reduce((sum, { settled }) => sum + settled.tagged, 0))],
    ["of these with a name taken by others", String(all.reduce((sum, { settled }) => sum + settled.blocked, 0))],
    ["of these left to people", String(all.reduce((sum, { settled }) => sum + settled.handsOff, 0))],
    [
      "seeds in which polls left something to later ones",
      String(all.filter(({ settled }) => settled.waiting > 0).length),
    ],
    ["faults", String(sumOf(kinds))],
    ["median seconds to convergence", (times[Math.floor(times.length / 2)] ?? 0).toFixed(1)],
    ["longest seconds to convergence", (times.at(-1) ?? 0).toFixed(1)],
  ];
  const done = new Map<string, number>();
  for (const { operation, outcome } of all.flatMap(({ journal }) => journal)) {
    if (outcome === "done") done.set(operation.kind, (done.get(operation.kind) ?? 0) + 1);
  }
  return [table(["", ""], rows), "", countsOf("operation", done), "", countsOf("fault", kinds)].join("\n");
}

function countsOf(what: string, counts: ReadonlyMap<string, number>): string {
  const sorted = [...counts].sort(([one], [other]) => one.localeCompare(other));
  return table(
    [what, "times"],
    sorted.map(([kind, times]) => [kind, String(times)]),
  );
}

/** A Markdown table. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) =>
    Math.max(3, title.length, ...rows.map(row => (row[column] ?? "").length)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  return [line(header), line(widths.map(width => "-".repeat(width))), ...rows.map(line)].join("\n");
}

function describeEntry({ at, operation, outcome, error }: JournalEntry): string {
  const { kind, ...details } = operation;
  const what = `${kind} ${JSON.stringify(details)}`;
  return `  ${at.toString().padStart(5)}  ${what}  ${outcome}${error === undefined ? "" : `: ${error}`}`;
}

function countOf({ journal }: Played, outcome: JournalEntry["outcome"]): number {
  return journal.filter(entry => entry.outcome === outcome).length;
}

function sumOf(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, times) => sum + times, 0);
}
