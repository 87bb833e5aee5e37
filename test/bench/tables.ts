import type {
  BenchResults,
  DeliveryLevel,
  DeliveryResults,
  HttpClientResults,
  PollResults,
  RejectionResults,
} from "./results";
import { mebibytes, percent, rate, ratio, time, whole } from "./figures";
import { statusTagTables } from "./status-tag-tables";

/** A table of results, the same for the terminal and for Markdown. */
export interface Table {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Sentences below it. */
  readonly notes: readonly string[];
}

/** Deliveries per second of the listener that people use today, at any concurrency, and its p50 alone and at 32. */
const LISTENER_OF_TODAY = { perSecond: 8.6, alone: 116 };

/** All tables of what was measured. */
export function tablesOf(results: BenchResults): Table[] {
  const { deliveries, rejections, httpClients, poll, burst, statusTags, start, target } = results;
  return [
    ...(deliveries === undefined ? [] : [limits(deliveries), deliveriesTable(deliveries), costs(deliveries)]),
    ...(target === undefined ? [] : [targetTable(target)]),
    ...(rejections === undefined ? [] : [rejectionTable(rejections), besideTable(rejections)]),
    ...(httpClients === undefined ? [] : [httpClientTable(httpClients)]),
    ...(poll === undefined ? [] : [pollTable(poll), idleTable(poll)]),
    ...(burst === undefined ? [] : [burstTable(burst)]),
    ...(statusTags === undefined ? [] : statusTagTables(statusTags)),
    ...(start === undefined ? [] : [startTable(start)]),
  ];
}

/** The tables as lines for a terminal. */
export function textTables(results: BenchResults): string[] {
  return tablesOf(results).flatMap(({ title, head, rows, notes }) => {
    const widths = head.map((cell, column) =>
      Math.max(...[cell, ...rows.map(row => row[column] ?? "")].map(text => text.length)),
    );
    const line = (row: readonly string[]): string =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join("  ");
    return ["", title, line(head), ...rows.map(line), ...notes.map(note => `  ${note}`)];
  });
}

function limits({ levels, keptConnectionRead }: DeliveryResults): Table {
  return {
    title: "The limit: what MLflow and the API server do when nothing else is asked of them",
    head: [
      ...["", "clients", "reads/s", "read p50", "looks/s", "look p50", "writes/s", "write p50", "one of each/s"],
      "p50 in turn",
    ],
    rows: levels.map(({ kind, clients, reads, looks, writes, limit, inTurn }) => [
      ...[kind, String(clients)],
      ...[reads, looks, writes].flatMap(load =>
        load === undefined ? ["", ""] : [rate(load.perSecond), time(load.p50)],
      ),
      ...[rate(limit), time(inTurn.p50)],
    ]),
    notes: [
      "A read is of the version in MLflow, a look is the read of its InferenceService, and a write is an Apply or, of a removal, a Delete.",
      `A read over a kept connection takes MLflow ${time(keptConnectionRead.p50)} (p50); the reads above, and the module's, open a connection each.`,
    ],
  };
}

function deliveriesTable({ levels }: DeliveryResults): Table {
  return {
    title: "Deliveries: signed, each of another version, answered 200 after the Apply or Delete",
    head: ["", "clients", "deliveries/s", "of the limit", "p50", "p95", "p99", "p50 of its parts", "of all in turn"],
    rows: levels.map(level => {
      const { kind, clients, limit, deliveries, reads, looks, writes, inTurn } = level;
      const { perSecond, p50, p95, p99 } = deliveries;
      const parts = clients === 1 ? ratio(p50 / (reads.p50 + (looks?.p50 ?? 0) + (writes?.p50 ?? 0))) : "";
      return [
        ...[kind, String(clients), rate(perSecond), percent(perSecond / limit)],
        ...[time(p50), time(p95), time(p99), parts, ratio(p50 / inTurn.p50)],
      ];
    }),
    notes: [comparison(levels)].filter(note => note !== ""),
  };
}

/** With the listener that people use today, in its own figures. */
function comparison(levels: readonly DeliveryLevel[]): string {
  const created = levels.filter(({ kind }) => kind === "create");
  const [alone, many] = [created.find(({ clients }) => clients === 1), created.at(-1)];
  if (alone === undefined || many === undefined) return "";
  const times = (many.deliveries.perSecond / LISTENER_OF_TODAY.perSecond).toFixed(0);
  return `The listener that people use today does ${LISTENER_OF_TODAY.perSecond} a second at every concurrency, p50 ${LISTENER_OF_TODAY.alone} ms alone: ${times} times as many, and ${time(alone.deliveries.p50)}.`;
}

function costs({ levels }: DeliveryResults): Table {
  return {
    title: "What the deliveries cost: milliseconds of processor time for each, second looks included",
    head: ["", "clients", "module", "MLflow", "API server", "module's memory"],
    rows: levels.map(({ kind, clients, deliveries: { count }, processor, memory }) => {
      const each = (seconds: number): string => time((seconds * 1000) / count);
      const { module, mlflow, apiServer } = processor;
      return [kind, String(clients), each(module), each(mlflow), each(apiServer), mebibytes(memory)];
    }),
    notes: [],
  };
}

function targetTable({ target, levels }: NonNullable<BenchResults["target"]>): Table {
  return {
    title: `Deliveries to ${target}`,
    head: ["", "clients", "deliveries/s", "p50", "p95", "p99"],
    rows: levels.map(({ clients, deliveries: { perSecond, p50, p95, p99 } }) => [
      ...["create", String(clients), rate(perSecond), time(p50), time(p95), time(p99)],
    ]),
    notes: [],
  };
}

function rejectionTable({ kinds }: RejectionResults): Table {
  return {
    title: "Rejections, over 32 connections",
    head: ["", "rejections/s", "for a second of the module's processor", "p50", "p99"],
    rows: kinds.map(({ kind, load, perProcessorSecond }) => [
      ...[kind, rate(load.perSecond), rate(perProcessorSecond), time(load.p50), time(load.p99)],
    ]),
    notes: [],
  };
}

function besideTable({ beside }: RejectionResults): Table {
  const { alone, together, rejectionsPerSecond } = beside;
  const row = (name: string, { p50, p95, perSecond }: typeof alone): string[] => [
    name,
    rate(perSecond),
    time(p50),
    time(p95),
  ];
  return {
    title: "Accepted deliveries, one after the other",
    head: ["", "deliveries/s", "p50", "p95"],
    rows: [row("alone", alone), row(`beside ${rate(rejectionsPerSecond)} rejections/s`, together)],
    notes: [`Beside the rejections p50 is ${(together.p50 / alone.p50).toFixed(2)} times as long.`],
  };
}

function httpClientTable({ levels }: HttpClientResults): Table {
  return {
    title: "Reads of a version in MLflow, by HTTP client",
    head: ["", "clients", "reads/s", "p50", "p95", "processor time of each", "p50 of the module's", "processor of it"],
    rows: levels.map(({ client, clients, load, processor }) => {
      const own = levels.find(level => level.clients === clients);
      const compared =
        own === undefined ? ["", ""] : [ratio(load.p50 / own.load.p50), ratio(processor / own.processor)];
      return [
        ...[client, String(clients), rate(load.perSecond), time(load.p50), time(load.p95)],
        ...[`${processor.toFixed(2)} ms`, ...compared],
      ];
    }),
    notes: [],
  };
}

function pollTable({ sizes }: PollResults): Table {
  return {
    title: "Polls",
    head: ["versions", "tagged", "", "seconds", "CPU s", "MLflow requests", "API server requests", "memory"],
    rows: sizes.flatMap(({ versions, tagged, steps }) =>
      steps.map(({ step, seconds, processorSeconds, mlflowRequests, apiServerRequests, memory }) => [
        ...[whole(versions), whole(tagged), step, seconds.toFixed(2), processorSeconds.toFixed(2)],
        ...[whole(mlflowRequests), whole(apiServerRequests), mebibytes(memory)],
      ]),
    ),
    notes: [],
  };
}

function idleTable({ sizes, memory }: PollResults): Table {
  return {
    title: "A poll with nothing to do, beside MLflow's bare search and the API server's bare list",
    head: ["versions", "tagged", "search", "list", "both", "poll", "of both", "ms for each tagged"],
    rows: sizes.map(({ versions, tagged, steps, bareSearch, bareList }) => {
      const poll = steps.find(({ step }) => step === "nothing to do")?.seconds ?? NaN;
      const both = bareSearch + bareList;
      return [
        ...[whole(versions), whole(tagged), time(bareSearch * 1000), time(bareList * 1000), time(both * 1000)],
        ...[time(poll * 1000), ratio(poll / both), ((poll * 1000) / tagged).toFixed(2)],
      ];
    }),
    notes:
      memory === undefined
        ? []
        : [
            `A watcher of ${whole(memory.services)} services, with Pepr's runtime: ${mebibytes(memory.resident)} resident, ${mebibytes(memory.peak)} at its peak, while it deployed them.`,
          ],
  };
}

function burstTable(burst: NonNullable<BenchResults["burst"]>): Table {
  const { tags, setPerSecond, secondsToSet, secondsToApply, secondsBehind, lost, processor } = burst;
  return {
    title: "A burst: tags set through MLflow, delivered by its ten workers, nothing polled",
    head: [
      "tags",
      "set/s",
      "seconds to set",
      "seconds to the last Apply",
      "behind",
      "lost",
      "CPU s: module",
      "MLflow",
      "API server",
    ],
    rows: [
      [
        ...[
          whole(tags),
          rate(setPerSecond),
          secondsToSet.toFixed(1),
          secondsToApply.toFixed(1),
          `${secondsBehind.toFixed(1)} s`,
        ],
        ...[whole(lost), processor.module.toFixed(1), processor.mlflow.toFixed(1), processor.apiServer.toFixed(1)],
      ],
    ],
    notes: [],
  };
}

function startTable({ endpoint, watcher, node, bundle }: NonNullable<BenchResults["start"]>): Table {
  const row = (name: string, times: readonly number[]): string[] => {
    const sorted = [...times].sort((one, other) => one - other);
    return [
      name,
      String(times.length),
      time(sorted[Math.floor((sorted.length - 1) / 2)] ?? NaN),
      time(sorted.at(-1) ?? NaN),
    ];
  };
  return {
    title: "From the start of the process until it is ready",
    head: ["", "starts", "median", "slowest"],
    rows: [row("endpoint", endpoint), row("watcher", watcher), row("Node.js alone", node)],
    notes: [`The bundle has ${(bundle / 1024).toFixed(1)} KiB, gzipped.`],
  };
}
