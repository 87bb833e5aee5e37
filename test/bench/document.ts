import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { format } from "prettier";
import type { BenchResults } from "./results";
import { drawCharts } from "./svg";
import type { BarChart } from "./svg";
import { tablesOf } from "./tables";

const [BEGIN, END] = ["<!-- Measured: begin -->", "<!-- Measured: end -->"];

/**
 * Writes the results into a page, between its marks, and beside it, in a folder of the page's name, as JSON and as a plot.
 *
 * @throws Error when the page has not the marks
 */
export async function writeDocument(file: string, results: BenchResults): Promise<void> {
  const page = existsSync(file) ? readFileSync(file, "utf8") : `${BEGIN}\n${END}\n`;
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin)
    throw new Error(`${file} has no lines ${BEGIN} and ${END} to write the results between`);
  const folder = file.replace(/\.md$/, "");
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, "results.json"), `${JSON.stringify(results, undefined, 2)}\n`);
  writeFileSync(path.join(folder, "results.svg"), drawCharts(chartsOf(results)));
  const plot = `![Deliveries, latency and polls beside their limits](${path.basename(folder)}/results.svg)`;
  const measured = [about(results), plot, ...tables(results), ...problems(results)].join("\n\n");
  const whole = `${page.slice(0, begin)}${BEGIN}\n\n${measured}\n\n${page.slice(end)}`;
  writeFileSync(file, await format(whole, { parser: "markdown", printWidth: 120 }));
}

function about({ made, command, machine }: BenchResults): string {
  const { processors, processor, memory, node, loadBefore, kserve } = machine;
  const controller =
    kserve === "paused"
      ? "KServe's controller and its admission webhooks were stopped, since they compete for the processors"
      : "KServe's controller and its admission webhooks were at work beside it";
  const others =
    loadBefore > 0.5
      ? ` **Other programs were at work on the machine** (load average ${loadBefore} before the start): only the ratios mean something.`
      : "";
  return [
    `Made by \`${command}\` on ${made.slice(0, 10)}, on ${processors} processors (${processor}), ${memory} GiB, Node.js ${node}.`,
    `MLflow, etcd, the API server, the module and the program that measures share them. ${controller}.${others}`,
  ].join("\n");
}

function tables(results: BenchResults): string[] {
  return tablesOf(results).map(({ title, head, rows, notes }) => {
    const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
    const rule = line(head.map((_, column) => (column === 0 ? "---" : "--:")));
    return [`### ${title}`, [line(head), rule, ...rows.map(line)].join("\n"), ...notes].join("\n\n");
  });
}

function problems({ problems: found }: BenchResults): string[] {
  return found.length === 0 ? [] : [`What was wrong:\n\n${found.map(problem => `- ${problem}`).join("\n")}`];
}

function chartsOf({ deliveries, poll }: BenchResults): BarChart[] {
  const charts: BarChart[] = [];
  if (deliveries !== undefined) {
    const { levels } = deliveries;
    const name = (kind: string, clients: number): string => `${kind}, ${clients} client${clients === 1 ? "" : "s"}`;
    charts.push({
      title: "Deliveries beside the limit: the requests that each needs, done bare",
      unit: "/s",
      series: ["limit", "deliveries"],
      groups: levels.map(({ kind, clients, limit, deliveries: { perSecond } }) => ({
        name: name(kind, clients),
        values: [limit, perSecond],
      })),
    });
    charts.push({
      title: "Time for one delivery at a time (p50)",
      unit: "ms",
      series: ["MLflow read", "Apply", "delivery"],
      groups: levels
        .filter(({ clients }) => clients === 1)
        .map(({ kind, reads, writes, deliveries: { p50 } }) => ({
          name: kind,
          values: [reads.p50, writes?.p50 ?? 0, p50],
        })),
    });
  }
  if (poll !== undefined) {
    charts.push({
      title: "A poll with nothing to do, beside the bare search and list",
      unit: "ms",
      series: ["search and list", "poll"],
      groups: poll.sizes.map(({ versions, tagged, steps, bareSearch, bareList }) => ({
        name: `${versions} versions, ${tagged} tagged`,
        values: [
          (bareSearch + bareList) * 1000,
          (steps.find(({ step }) => step === "nothing to do")?.seconds ?? 0) * 1000,
        ],
      })),
    });
  }
  return charts.filter(({ groups }) => groups.length > 0);
}
