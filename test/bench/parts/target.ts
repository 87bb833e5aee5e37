import http from "node:http";
import https from "node:https";
import { openRegistry } from "../../support/mlflow-registry";
import { createBareClient } from "../bare-client";
import { runLoad, summarize } from "../load";
import type { TargetResults } from "../results";
import { signedDelivery } from "../signed-delivery";
import { modelNames } from "../world";
import type { World } from "../world";

/** Versions that are registered at the same time. */
const REGISTERING = 8;

/**
 * Sends the same deliveries to another server that speaks MLflow's webhook protocol. Its versions are registered, with
 * the tag, in the MLflow that it reads; whether it has applied what it answered is seen by the number of
 * InferenceServices in the whole cluster.
 */
export async function measureTarget(
  world: World,
  { url, secret }: { readonly url: string; readonly secret: string },
  mlflowTrackingUri: string,
): Promise<TargetResults> {
  const { clients, deliveries } = world.sizes;
  const models = modelNames(`target-${process.pid}`, deliveries * clients.length);
  world.say(`Registering ${models.length} versions`);
  const registry = openRegistry(mlflowTrackingUri);
  await runLoad(models.length, REGISTERING, at =>
    registry.register(models[at] ?? "", "s3://models/artifacts", { deploy: "true" }),
  );
  const { protocol, origin, pathname, search } = new URL(url);
  const agent = protocol === "https:" ? new https.Agent({ keepAlive: true }) : new http.Agent({ keepAlive: true });
  const target = createBareClient(origin, agent);
  const levels: TargetResults["levels"][number][] = [];
  try {
    for (const [index, level] of clients.entries()) {
      const before = await countServices(world);
      const load = await runLoad(
        deliveries,
        level,
        async at => {
          const delivery = signedDelivery({ model: models[at] ?? "", version: "1" }, secret);
          const { status, text } = await target.send({ method: "POST", path: pathname + search, ...delivery });
          if (status !== 200) world.problem(`A delivery was answered ${status}: ${text.slice(0, 200)}`);
        },
        index * deliveries,
      );
      const made = (await countServices(world)) - before;
      if (made !== deliveries)
        world.problem(
          `${deliveries} deliveries by ${level} clients made ${made} InferenceServices until they were answered`,
        );
      levels.push({ clients: level, deliveries: summarize(load) });
    }
    return { target: url, levels };
  } finally {
    target.close();
  }
}

async function countServices({ kubectl }: World): Promise<number> {
  const names = await kubectl(["get", "inferenceservices", "--all-namespaces", "--output=name"]);
  return names === "" ? 0 : names.split("\n").length;
}
