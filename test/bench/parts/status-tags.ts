import { apiServerClient } from "../bare-client";
import { deliver } from "../deliver";
import { runLoad, summarize } from "../load";
import type { Load, LoadSummary } from "../load";
import type { StatusTagResults } from "../results";
import { modelNames } from "../world";
import type { World } from "../world";
import { install, untilTagged } from "./installation";
import type { Installation } from "./installation";
import { measurePage } from "./page";
import { followPerson, measureReadyAtOnce, persons } from "./ready-at-once";

/** Deliveries with status tags and without are measured in turns, so often. */
const TURNS = 4;

/**
 * What the status tags cost: deliveries with them and without, in turns; then the tags of many versions that become Ready at
 * once, and how long a tag that a person sets takes meanwhile.
 */
export async function measureStatusTags(world: World): Promise<StatusTagResults> {
  const { deliveries, clients, statusTags } = world.sizes;
  const concurrencies = [Math.min(...clients), Math.max(...clients)];
  const models = modelNames("told", Math.max(deliveries * concurrencies.length, statusTags));
  const apiServer = await apiServerClient(world.kubeconfig);
  const comingModels = modelNames("shown", world.sizes.personsTags);
  const installations: Installation[] = [];
  try {
    for (const isOn of [false, true])
      installations.push(await install(world, models, [...persons(world), ...comingModels], isOn));
    const [off, on] = installations;
    if (off === undefined || on === undefined) throw new Error("Nothing was installed");
    const levels: StatusTagResults["levels"][number][] = [];
    for (const [at, level] of concurrencies.entries()) {
      const ofLevel = models.slice(at * deliveries, (at + 1) * deliveries);
      levels.push({ clients: level, ...(await measureInTurns(off, on, ofLevel, level, at * deliveries)) });
    }
    const person = await followPerson(world, on);
    try {
      const ready = await measureReadyAtOnce(world, on, apiServer, models.slice(0, statusTags), person);
      const coming = comingModels.map(model => ({ model, deploy: () => person.tag(model) }));
      return { levels, ready, page: await measurePage(on.watcher.url, coming) };
    } finally {
      person.stop();
    }
  } finally {
    apiServer.close();
    for (const { stop } of installations) await stop();
  }
}

/** Deliveries to both installations in turns, each after the tags of the last are written. */
async function measureInTurns(
  off: Installation,
  on: Installation,
  models: readonly string[],
  clients: number,
  deliveredBefore: number,
): Promise<{ off: LoadSummary; on: LoadSummary }> {
  const loads: Record<"off" | "on", Load[]> = { off: [], on: [] };
  for (let turn = 0; turn < TURNS; turn++) {
    const from = Math.floor((models.length * turn) / TURNS);
    const count = Math.floor((models.length * (turn + 1)) / TURNS) - from;
    // Who comes first changes, so that what the machine does over time is no difference.
    for (const which of turn % 2 === 0 ? (["off", "on"] as const) : (["on", "off"] as const)) {
      const { endpoint } = which === "on" ? on : off;
      loads[which].push(await runLoad(count, clients, at => deliver(endpoint, models[at] ?? ""), from));
      if (which === "on") await untilTagged(on, "LIKE '%'", deliveredBefore + from + count);
    }
  }
  return { off: summarize(...loads.off), on: summarize(...loads.on) };
}
