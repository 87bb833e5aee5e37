import { Agent, request } from "undici";
import { createMlflowTransport } from "../../../capabilities/mlflow/transport";
import { median, runLoad, summarize } from "../load";
import type { Load } from "../load";
import type { HttpClientResults } from "../results";
import { modelNames, startFilledMlflow } from "../world";
import type { World } from "../world";

/** The clients are measured in turns, so often each. */
const TURNS = 6;
const DEADLINE = 30_000;

/** Why MLflow is called by Node's own client: the same read of a version by it and by undici, at the same concurrencies. */
export async function measureHttpClients(world: World): Promise<HttpClientResults> {
  const count = Math.ceil(world.sizes.deliveries / 2);
  const models = modelNames("read", count);
  const mlflow = await startFilledMlflow(world, { models });
  const transport = createMlflowTransport({ trackingUri: mlflow.trackingUri, deadline: DEADLINE });
  // Without pipelining undici keeps no connection.
  const [fresh, kept] = [new Agent({ pipelining: 0 }), new Agent()];
  const queryOf = (at: number): { name: string; version: string } => ({ name: models[at] ?? "", version: "1" });
  const byUndici = (dispatcher: Agent) => async (at: number) => {
    const query = new URLSearchParams(queryOf(at)).toString();
    const { statusCode, body } = await request(`${mlflow.trackingUri}/api/2.0/mlflow/model-versions/get?${query}`, {
      dispatcher,
      headers: { accept: "application/json" },
      signal: AbortSignal.timeout(DEADLINE),
    });
    const text = await body.text();
    if (statusCode !== 200) throw new Error(`model-versions/get was answered ${statusCode}: ${text.slice(0, 300)}`);
    return JSON.parse(text) as unknown;
  };
  const clients: readonly (readonly [string, (at: number) => Promise<unknown>])[] = [
    ["the module's", at => transport({ method: "GET", path: "model-versions/get", query: queryOf(at) })],
    ["undici, a connection for each call", byUndici(fresh)],
    ["undici, kept connections", byUndici(kept)],
  ];
  try {
    const levels: HttpClientResults["levels"][number][] = [];
    for (const concurrency of [1, Math.max(...world.sizes.clients)]) {
      const measured = clients.map(([client]) => ({ client, loads: [] as Load[], processor: [] as number[] }));
      for (const [, read] of clients) await runLoad(Math.ceil(count / 4), concurrency, read);
      for (let turn = 0; turn < TURNS; turn++) {
        for (const [at, [, read]] of clients.entries()) {
          const before = process.cpuUsage();
          const load = await runLoad(count, concurrency, read);
          const { user, system } = process.cpuUsage(before);
          measured[at]?.loads.push(load);
          measured[at]?.processor.push((user + system) / 1000 / count);
        }
      }
      for (const { client, loads, processor } of measured) {
        levels.push({ client, clients: concurrency, load: summarize(...loads), processor: median(processor) });
      }
    }
    return { levels };
  } finally {
    await Promise.all([fresh.close(), kept.close()]);
    await mlflow.part.stop();
  }
}
