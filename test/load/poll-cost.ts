import type { Listener } from "../../capabilities/module";
import type { ResyncReport } from "../../capabilities/reconciliation/resync";
import type { RequestCount } from "./request-count";

/** What one poll took. */
export interface PollCost {
  readonly report: ResyncReport;
  /** Until the poll had come to its end. */
  readonly seconds: number;
  /** Until all second looks at MLflow were done as well. */
  readonly secondsUntilIdle: number;
  /** Processor time of this process, in seconds. */
  readonly cpuSeconds: number;
  readonly mlflowRequests: number;
  readonly apiServerRequests: number;
}

/** Base URLs of the two systems that a poll asks. */
export interface PolledSystems {
  readonly mlflow: string;
  readonly apiServer: string;
}

/** Polls once and measures it. @throws Error when the poll failed */
export async function measurePoll(
  listener: Listener,
  requests: RequestCount,
  systems: PolledSystems,
): Promise<PollCost> {
  const [mlflowBefore, apiServerBefore] = [requests.sentTo(systems.mlflow), requests.sentTo(systems.apiServer)];
  const cpuBefore = process.cpuUsage();
  const began = performance.now();
  const report = await listener.poll();
  const seconds = (performance.now() - began) / 1000;
  await listener.idle();
  const secondsUntilIdle = (performance.now() - began) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  if (report === undefined) throw new Error("The poll failed");
  return {
    report,
    seconds,
    secondsUntilIdle,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    mlflowRequests: requests.sentTo(systems.mlflow) - mlflowBefore,
    apiServerRequests: requests.sentTo(systems.apiServer) - apiServerBefore,
  };
}

const COLUMNS: readonly (readonly [title: string, width: number, of: (cost: PollCost) => string])[] = [
  ["seconds", 10, ({ seconds }) => seconds.toFixed(2)],
  ["with 2nd looks", 16, ({ secondsUntilIdle }) => secondsUntilIdle.toFixed(2)],
  ["CPU s", 8, ({ cpuSeconds }) => cpuSeconds.toFixed(2)],
  ["MLflow", 8, ({ mlflowRequests }) => String(mlflowRequests)],
  ["API server", 12, ({ apiServerRequests }) => String(apiServerRequests)],
  ["tagged", 8, ({ report }) => String(report.tagged)],
  ["created", 9, ({ report }) => String(report.created)],
  ["deleted", 9, ({ report }) => String(report.deleted)],
  ["failed", 8, ({ report }) => String(report.failed)],
];

const NAME_WIDTH = 28;

export const POLL_COST_HEAD = " ".repeat(NAME_WIDTH) + COLUMNS.map(([title, width]) => title.padStart(width)).join("");

/** One line of the table. */
export function describePollCost(name: string, cost: PollCost): string {
  return name.padEnd(NAME_WIDTH) + COLUMNS.map(([, width, of]) => of(cost).padStart(width)).join("");
}
