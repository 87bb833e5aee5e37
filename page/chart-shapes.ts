import type { HourSeries } from "../capabilities/status/published";

/** The drawing's own units; it is stretched to the room that there is. */
export const WIDTH = 600;
export const HEIGHT = 100;

/** A value that JSON could not carry, or that there is none of, is a gap. */
type Value = number | null | undefined;

function known(value: Value): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

/** The longest series' number of minutes. */
export function lengthOf(series: readonly HourSeries[]): number {
  return Math.max(0, ...series.map(({ values }) => values.length));
}

/** The value of a series at a minute, counted from the newest one's end; undefined when it has none. */
export function valueAt({ values }: HourSeries, index: number, length: number): number | undefined {
  const value: Value = values[index - (length - values.length)];
  return known(value) ? value : undefined;
}

/** The greatest height that is drawn: of all bars upon each other, or of the highest line. */
export function peakOf(series: readonly HourSeries[], kind: "bars" | "lines"): number {
  const length = lengthOf(series);
  let peak = 0;
  for (let index = 0; index < length; index++) {
    const values = series.map(one => valueAt(one, index, length) ?? 0);
    peak = Math.max(peak, kind === "bars" ? values.reduce((sum, value) => sum + value, 0) : Math.max(0, ...values));
  }
  return peak;
}

/** One path for each series: its bars, each upon those of the series before. */
export function barsOf(series: readonly HourSeries[]): string[] {
  const length = lengthOf(series);
  const scale = HEIGHT / (peakOf(series, "bars") || 1);
  const step = WIDTH / Math.max(1, length);
  const bases = Array.from({ length }, () => 0);
  return series.map(one => {
    let path = "";
    for (let index = 0; index < length; index++) {
      const value = valueAt(one, index, length) ?? 0;
      if (value <= 0) continue;
      const base = bases[index] ?? 0;
      bases[index] = base + value;
      const [x, bottom, height] = [index * step + step * 0.1, HEIGHT - base * scale, value * scale];
      path += `M${round(x)} ${round(bottom)}h${round(step * 0.8)}v${round(-height)}h${round(-step * 0.8)}z`;
    }
    return path;
  });
}

/** One path for each series: a line with gaps where there is no value; a value alone is a short line. */
export function linesOf(series: readonly HourSeries[]): string[] {
  const length = lengthOf(series);
  const scale = HEIGHT / (peakOf(series, "lines") || 1);
  const step = WIDTH / Math.max(1, length);
  return series.map(one => {
    let path = "";
    let isDrawing = false;
    for (let index = 0; index < length; index++) {
      const value = valueAt(one, index, length);
      if (value !== undefined) {
        const [x, y] = [(index + 0.5) * step, HEIGHT - value * scale];
        path += isDrawing
          ? `L${round(x)} ${round(y)}`
          : `M${round(x - step * 0.3)} ${round(y)}L${round(x)} ${round(y)}`;
      }
      isDrawing = value !== undefined;
    }
    return path;
  });
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
