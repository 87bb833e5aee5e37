import type { JSX } from "preact";
import { STATE_WORDS } from "../capabilities/status/published";
import type { HourSeries } from "../capabilities/status/published";
import { barsOf, HEIGHT, lengthOf, linesOf, peakOf, valueAt, WIDTH } from "./chart-shapes";
import { Foreign } from "./parts";
import { clockText } from "./text";

const MINUTE = 60_000;

/** Series that have a colour of their own: the states', and what is like them. */
const COLOURS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(STATE_WORDS.map(word => [word, word.toLowerCase()])),
  success: "ready",
  ignored: "stopping",
  refused: "refused",
  rejected: "conflict",
  error: "failed",
};
const OTHERS = ["starting", "waiting", "conflict", "ready", "refused", "stopping", "failed"];

function colourOf(name: string, index: number): string {
  return (Object.hasOwn(COLOURS, name) ? COLOURS[name] : OTHERS[index % OTHERS.length]) ?? "starting";
}

/** Series of the last hour as a drawing, with their numbers as a table below it. */
export function Chart({
  title,
  kind,
  series,
  format,
  at,
}: {
  readonly title: string;
  readonly kind: "bars" | "lines";
  readonly series: readonly HourSeries[];
  readonly format: (value: number) => string;
  /** The end of the last minute, in Unix milliseconds. */
  readonly at: number;
}): JSX.Element {
  const length = lengthOf(series);
  const peak = peakOf(series, kind);
  const paths = kind === "bars" ? barsOf(series) : linesOf(series);
  const lastOf = (one: HourSeries): string => {
    const value = valueAt(one, length - 1, length);
    return value === undefined ? "none" : format(value);
  };
  const summary = series.map(one => `${one.name} ${lastOf(one)}`).join(", ");
  return (
    <figure class="panel chart">
      <figcaption>
        <h2>{title}</h2>
        <span class="muted">last hour</span>
      </figcaption>
      <div class="drawing">
        <span class="peak" aria-hidden="true">
          {format(peak)}
        </span>
        <svg
          viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
          preserveAspectRatio="none"
          role="img"
          aria-label={`${title} in the last hour; at most ${format(peak)}; in the last minute: ${summary === "" ? "nothing" : summary}`}
        >
          {paths.map((path, index) => (
            <path
              key={series[index]?.name}
              d={path}
              class={`${kind} colour-${colourOf(series[index]?.name ?? "", index)}`}
              vector-effect="non-scaling-stroke"
            />
          ))}
        </svg>
        <div class="axis" aria-hidden="true">
          <span>{clockText(at - length * MINUTE).slice(0, 5)}</span>
          <span>{clockText(at).slice(0, 5)}</span>
        </div>
      </div>
      <ul class="legend">
        {series.map((one, index) => (
          <li key={one.name}>
            <span class={`swatch colour-${colourOf(one.name, index)}`} />
            <Foreign text={one.name} /> <b>{lastOf(one)}</b>
          </li>
        ))}
      </ul>
      <Numbers title={title} series={series} format={format} at={at} length={length} />
    </figure>
  );
}

function Numbers({
  title,
  series,
  format,
  at,
  length,
}: {
  readonly title: string;
  readonly series: readonly HourSeries[];
  readonly format: (value: number) => string;
  readonly at: number;
  readonly length: number;
}): JSX.Element {
  const minutes = Array.from({ length }, (_, index) => length - 1 - index);
  return (
    <details>
      <summary>Numbers</summary>
      {/* It scrolls, so the keyboard has to get there. */}
      <div class="numbers" tabIndex={0} role="region" aria-label={`${title}, numbers`}>
        <table>
          <thead>
            <tr>
              <th scope="col">Minute</th>
              {series.map(({ name }) => (
                <th scope="col" key={name}>
                  <Foreign text={name} />
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {minutes.map(index => (
              <tr key={index}>
                <th scope="row">{clockText(at - (length - index) * MINUTE).slice(0, 5)}</th>
                {series.map(one => {
                  const value = valueAt(one, index, length);
                  return <td key={one.name}>{value === undefined ? "" : format(value)}</td>;
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
