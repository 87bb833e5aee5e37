import { readFileSync, writeFileSync } from "node:fs";
import { format } from "prettier";
import type { CycleResult } from "./cycle";

/** Of what releases are tried. */
export type Subject = "MLflow" | "KServe";

/** What came of a release: the cycle, or why there was none. */
export type ReleaseResult =
  | { readonly release: string; readonly cycle: CycleResult; readonly problem?: undefined }
  | { readonly release: string; readonly problem: string };

/**
 * Writes the table into a page, between its marks.
 *
 * @throws Error when the page has not the marks
 */
export async function writeTable(file: string, subject: Subject, results: readonly ReleaseResult[]): Promise<void> {
  const page = readFileSync(file, "utf8");
  const [first, last] = [`<!-- ${subject}: begin -->`, `<!-- ${subject}: end -->`];
  const [begin, end] = [page.indexOf(first), page.indexOf(last)];
  if (begin < 0 || end < begin) throw new Error(`${file} has no lines ${first} and ${last} to write the table between`);
  const whole = `${page.slice(0, begin)}${first}\n\n${tableOf(subject, results)}\n\n${page.slice(end)}`;
  writeFileSync(file, await format(whole, { parser: "markdown", printWidth: 120, proseWrap: "preserve" }));
}

/** The table in Markdown; times are seconds from the change in MLflow to the change in the cluster. */
export function tableOf(subject: Subject, results: readonly ReleaseResult[]): string {
  const head = [
    subject,
    "what carries the work",
    "by webhook: served, Ready, gone after",
    "by poll: served, Ready, gone after",
    "why not by webhook",
  ];
  const rows = results.map(result => [result.release, ...cellsOf(result)].map(inCell));
  return [head, head.map(() => "---"), ...rows].map(cells => `| ${cells.join(" | ")} |`).join("\n");
}

function cellsOf(result: ReleaseResult): string[] {
  if (result.problem !== undefined) return ["nothing", "", "", result.problem];
  const { mode, cause, byWebhook, byPoll } = result.cycle;
  const times = ({ deployed, ready, removed }: CycleResult["byPoll"]): string =>
    `${deployed} s, ${ready} s, ${removed} s`;
  return [
    mode === "webhook" ? "webhook and poll" : "poll",
    byWebhook === undefined ? "" : times(byWebhook),
    times(byPoll),
    cause ?? "",
  ];
}

function inCell(text: string): string {
  return text.replace(/\s+/g, " ").replaceAll("|", "\\|");
}
