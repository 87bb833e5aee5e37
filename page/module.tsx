import type { JSX } from "preact";
import type { ModuleItem } from "../capabilities/status/published";
import type { HistoryAnswer, ModuleAnswer } from "../capabilities/server/page/wire";
import { Chart } from "./chart";
import { ChangeTable } from "./changes";
import { Foreign, Heading, Problem, Section, useTicks } from "./parts";
import { useReading } from "./reading";
import { clockText, durationText, numberText } from "./text";

/** Milliseconds after which the module is looked at again. */
const LOOK_AGAIN = 15_000;

/** Changes that are shown here; all of them have a view of their own. */
const RECENT = 10;

/** What somebody has to act on comes first. */
const HEALTHS: readonly ModuleItem["health"][] = ["bad", "warning", "good"];

const WORDS: Readonly<Record<ModuleItem["health"], string>> = { good: "Good", warning: "Look at it", bad: "Bad" };

/** How the module itself is. */
export function Module({ occasion }: { readonly occasion: unknown }): JSX.Element {
  const look = useTicks(LOOK_AGAIN);
  const { value, problem } = useReading<ModuleAnswer>("page/module", look);
  const history = useReading<HistoryAnswer>("page/history", occasion);
  const changes = history.value?.changes;
  return (
    <>
      <Heading>Module</Heading>
      <p class="count">
        {value === undefined ? "Reading…" : `mlflow-kserve ${value.version}, as of ${clockText(value.at)}`}
      </p>
      {problem !== undefined && <Problem text={problem} />}
      {value !== undefined && (
        <>
          <ul class="items">
            {HEALTHS.flatMap(health => value.items.filter(item => item.health === health)).map(item => (
              <Item key={item.name} item={item} />
            ))}
          </ul>
          <div class="charts">
            <Chart
              title="Deliveries a minute"
              kind="bars"
              series={value.deliveries}
              format={numberText}
              at={value.at}
            />
            <Chart
              title="From a delivery to the Apply"
              kind="lines"
              series={value.deliverySeconds}
              format={seconds => durationText(seconds * 1_000)}
              at={value.at}
            />
            <Chart title="Versions by state" kind="bars" series={value.states} format={numberText} at={value.at} />
          </div>
        </>
      )}
      <Section title="Recent changes">
        {history.problem !== undefined && <Problem text={history.problem} />}
        {changes !== undefined && <ChangeTable changes={changes.slice(0, RECENT)} withVersion />}
        {changes !== undefined && changes.length > RECENT && (
          <p>
            <a href="#/changes">All {numberText(changes.length)} changes</a>
          </p>
        )}
      </Section>
    </>
  );
}

function Item({ item }: { readonly item: ModuleItem }): JSX.Element {
  return (
    <li class={`item ${item.health}`}>
      <h2>
        <Foreign text={item.name} />
      </h2>
      <span class="health">{WORDS[item.health]}</span>
      <p>
        <Foreign text={item.value} />
      </p>
      {item.advice !== undefined && (
        <p class="advice">
          <Foreign text={item.advice} />
        </p>
      )}
    </li>
  );
}
