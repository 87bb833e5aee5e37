import { appendFileSync } from "node:fs";
import { inject } from "vitest";

/** Which side of the module goes wrong. */
export const FAULT_GROUPS = ["MLflow", "Kubernetes", "The module", "Deliveries"] as const;

/** What one fault did, and how it ended: one row of the table that a run prints. */
export interface FaultRow {
  readonly group: (typeof FAULT_GROUPS)[number];
  readonly fault: string;
  /** What was asked of the module while the fault was there. */
  readonly sent: string;
  /** What it answered, or logged where there is nobody to answer. */
  readonly answer: string;
  /** Seconds from the end of the fault until the cluster was what MLflow says. */
  readonly convergedAfter: number;
  /** What made it so: MLflow's retry, the poll, the watch, the delivery itself. */
  readonly by: string;
  /** What should be there and is not, or the other way round; the test fails unless it is "nothing". */
  readonly lost: string;
}

declare module "vitest" {
  interface ProvidedContext {
    /** File that collects the rows of a run. */
    faultRows: string;
  }
}

/** Adds a row to the table of this run; to be called at the end of a test, when all else was found right. */
export function recordFault(row: FaultRow): void {
  appendFileSync(inject("faultRows"), `${JSON.stringify(row)}\n`);
}

/** Longest text of a cell. */
const CELL_LENGTH = 160;

/** The rows as a Markdown table, by group. */
export function markdownTable(rows: readonly FaultRow[]): string {
  const sorted = FAULT_GROUPS.flatMap(group => rows.filter(row => row.group === group));
  const cells = sorted.map(({ group, fault, sent, answer, convergedAfter, by, lost }) => [
    ...[group, fault, sent, answer],
    ...[`${convergedAfter.toFixed(1)} s`, by, lost],
  ]);
  const head = ["side", "fault", "sent", "answered or logged", "converged after", "by", "lost"];
  return [head, head.map(() => "---"), ...cells].map(row => `| ${row.map(asCell).join(" | ")} |`).join("\n");
}

/** Ports differ from run to run, so they are left out; a table is read beside others. */
function asCell(text: string): string {
  const line = text
    .replace(/\s+/g, " ")
    .replace(/127\.0\.0\.1:\d+/g, "…")
    .replaceAll("|", "\\|");
  return line.length > CELL_LENGTH ? `${line.slice(0, CELL_LENGTH)}…` : line;
}
