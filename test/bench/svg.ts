/** Bars in groups, for one plot. */
export interface BarChart {
  readonly title: string;
  readonly unit: string;
  /** Names of the bars in each group. */
  readonly series: readonly string[];
  readonly groups: readonly { readonly name: string; readonly values: readonly number[] }[];
}

const [WIDTH, ROW, LEFT, RIGHT, TOP] = [760, 18, 210, 70, 54];
const COLOURS = ["#9aa5b1", "#627d98", "#1992d4", "#f0b429"];
const FONT = 'font-family="system-ui, sans-serif" font-size="12"';

/** Horizontal bar charts below each other, as one SVG that reads on light and on dark pages. */
export function drawCharts(charts: readonly BarChart[]): string {
  const drawn: string[] = [];
  let y = 0;
  for (const chart of charts) {
    drawn.push(`<g transform="translate(0,${y})">${drawChart(chart)}</g>`);
    y += heightOf(chart);
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" role="img">`,
    `<rect width="${WIDTH}" height="${y}" fill="#ffffff"/>`,
    ...drawn,
    "</svg>\n",
  ].join("\n");
}

function heightOf({ groups, series }: BarChart): number {
  return TOP + groups.length * (series.length * ROW + 10) + 20;
}

function drawChart({ title, unit, series, groups }: BarChart): string {
  const largest = Math.max(...groups.flatMap(({ values }) => values));
  const scale = (WIDTH - LEFT - RIGHT) / largest;
  const parts = [text(12, 20, title, 'font-weight="bold"')];
  let at = 12;
  for (const [index, name] of series.entries()) {
    parts.push(`<rect x="${at}" y="30" width="10" height="10" fill="${colour(index)}"/>`, text(at + 15, 39, name));
    at += 40 + name.length * 6.5;
  }
  let y = TOP;
  for (const { name, values } of groups) {
    parts.push(text(LEFT - 8, y + (values.length * ROW) / 2 + 4, name, 'text-anchor="end"'));
    for (const [index, value] of values.entries()) {
      const width = Math.max(1, value * scale);
      parts.push(
        `<rect x="${LEFT}" y="${y + index * ROW + 2}" width="${width.toFixed(1)}" height="${ROW - 4}" fill="${colour(index)}"/>`,
        text(LEFT + width + 5, y + index * ROW + 13, `${shown(value)} ${unit}`),
      );
    }
    y += values.length * ROW + 10;
  }
  return parts.join("\n");
}

function colour(index: number): string {
  return COLOURS[index % COLOURS.length] ?? "#000000";
}

function text(x: number, y: number, content: string, more = ""): string {
  const escaped = content.replace(/&/g, "&amp;").replace(/</g, "&lt;");
  return `<text x="${x.toFixed(1)}" y="${y}" fill="#102a43" ${FONT} ${more}>${escaped}</text>`;
}

function shown(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(1);
}
