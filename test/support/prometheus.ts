import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { freePort } from "../testbed/ports";
import { prometheusPrograms } from "../testbed/prometheus";
import { forgetGroup, watchGroup } from "../testbed/watchdog";
import { waitFor } from "./waiting";

/** One value of an instant query. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The state of a rule that a Prometheus evaluates. */
export interface RuleState {
  readonly name: string;
  readonly query: string;
  readonly health: "ok" | "err" | "unknown";
  readonly lastError: string;
}

export interface PrometheusOptions {
  /** What is scraped, as `scrape_configs` has it. */
  readonly scrape: readonly Readonly<Record<string, unknown>>[];
  /** Groups of rules, as a rule file has them. */
  readonly groups?: readonly unknown[];
}

/** A Prometheus of its own that scrapes and evaluates each second. */
export interface Prometheus {
  /**
   * Runs an instant query.
   *
   * @param at Unix time in seconds; now when left out
   * @throws Error with what Prometheus says when it is no valid query
   */
  query: (expression: string, at?: number) => Promise<Sample[]>;
  rules: () => Promise<RuleState[]>;
  stop: () => Promise<void>;
}

/** Starts a real Prometheus on loopback. @throws Error when it does not start */
export async function startPrometheus({ scrape, groups = [] }: PrometheusOptions): Promise<Prometheus> {
  const directory = mkdtempSync(path.join(tmpdir(), "mlflow-kserve-prometheus-"));
  const file = (name: string, content: unknown): string => {
    // YAML has JSON in it.
    writeFileSync(path.join(directory, name), JSON.stringify(content));
    return path.join(directory, name);
  };
  const rules = file("rules.json", { groups });
  const configuration = file("prometheus.json", {
    global: { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" },
    rule_files: [rules],
    scrape_configs: scrape,
  });
  const address = `127.0.0.1:${await freePort()}`;
  const flags = [`--config.file=${configuration}`, `--storage.tsdb.path=${directory}/data`];
  const { prometheus } = await prometheusPrograms();
  const child = spawn(prometheus, [...flags, `--web.listen-address=${address}`], { detached: true, stdio: "ignore" });
  let failure: Error | undefined;
  child.once("error", cause => (failure = cause));
  child.once("exit", code => (failure ??= new Error(`prometheus ended with code ${code ?? "?"} at its start`)));
  const { pid } = child;
  if (pid !== undefined) watchGroup(pid);

  const stop = async (): Promise<void> => {
    if (pid !== undefined && child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    if (pid !== undefined) forgetGroup(pid);
    rmSync(directory, { recursive: true, force: true });
  };

  const ask = async (request: string): Promise<unknown> => {
    const response = await fetch(`http://${address}/api/v1/${request}`);
    const answer = (await response.json()) as { status: string; data: unknown; error?: string };
    if (answer.status !== "success") throw new Error(answer.error ?? `HTTP ${response.status}`);
    return answer.data;
  };

  const started = await waitFor("Prometheus", async () => {
    if (failure !== undefined) return failure;
    return (await fetch(`http://${address}/-/ready`)).ok ? "ready" : undefined;
  });
  if (started instanceof Error) {
    await stop();
    throw started;
  }
  return {
    async query(expression, at) {
      const time = at === undefined ? "" : `&time=${at}`;
      const data = (await ask(`query?query=${encodeURIComponent(expression)}${time}`)) as {
        resultType: string;
        result: readonly { metric: Record<string, string>; value: [number, string] }[];
      };
      if (data.resultType !== "vector") throw new Error(`${expression} gives no vector`);
      return data.result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
    },
    async rules() {
      const data = (await ask("rules")) as { groups: { rules: (RuleState & { lastError?: string })[] }[] };
      return data.groups.flatMap(group =>
        group.rules.map(({ name, query, health, lastError = "" }) => ({ name, query, health, lastError })),
      );
    },
    stop,
  };
}
