import { setTimeout as sleep } from "node:timers/promises";
import { inferenceServiceName } from "../../../capabilities/kserve/names";
import { followObjects } from "../../support/followed-objects";
import { openRegistry } from "../../support/mlflow-registry";
import { collectionOf, expectSuccess } from "../bare-client";
import type { BareClient } from "../bare-client";
import { deliver } from "../deliver";
import { runLoad, summarize } from "../load";
import type { Load, LoadSummary } from "../load";
import type { StatusTagResults } from "../results";
import { modelNames } from "../world";
import type { World } from "../world";
import { keyOf, untilTagged } from "./installation";
import type { Installation } from "./installation";

/** States of services that are being set at the same time. */
const CLIENTS = 8;

/** Milliseconds from one tag of a person's to the next. */
const PERSONS_PAUSE = 500;

/** Models that a person may tag while the tags of many versions are being written, one after the other. */
const PERSONS_MODELS = 1_000;

/** Somebody who tags models in MLflow, one after the other, and sees their InferenceServices come. */
export interface Person {
  /** Resolves when the API server has told of the InferenceService. */
  readonly tag: (model: string) => Promise<void>;
  readonly stop: () => void;
}

/** @throws Error when the InferenceServices cannot be watched */
export async function followPerson({ kubeconfig }: World, { namespace, mlflow }: Installation): Promise<Person> {
  const registry = openRegistry(mlflow.trackingUri);
  const waiting = new Map<string, () => void>();
  const { stop } = await followObjects(kubeconfig, collectionOf(namespace), objects => {
    for (const [name, found] of waiting) if (objects.has(name)) found();
  });
  return {
    stop,
    async tag(model) {
      const name = inferenceServiceName(keyOf(model), namespace);
      const appeared = new Promise<void>(resolve => waiting.set(name, resolve));
      await registry.setTag(keyOf(model), "deploy", "true");
      await appeared;
      waiting.delete(name);
    },
  };
}

/** Models that a person tags. */
export function persons({ sizes: { personsTags } }: World): string[] {
  return modelNames("person", personsTags + PERSONS_MODELS);
}

/** All services become Ready as fast as the API server takes it; until their tags say so, a person tags one model after the other. */
export async function measureReadyAtOnce(
  world: World,
  installation: Installation,
  apiServer: BareClient,
  models: readonly string[],
  { tag }: Person,
): Promise<StatusTagResults["ready"]> {
  const { namespace, endpoint } = installation;
  const rest = persons(world);
  const tagNowAndThen = async (isOver: (tags: number) => boolean): Promise<LoadSummary> => {
    const loads: Load[] = [];
    while (!isOver(loads.length) && rest.length > 0) {
      loads.push(await runLoad(1, 1, () => tag(rest.pop() ?? "")));
      await sleep(PERSONS_PAUSE);
    }
    return summarize(...loads);
  };
  // What was not delivered by the loads before.
  await runLoad(models.length, CLIENTS, at => deliver(endpoint, models[at] ?? ""));
  await untilTagged(installation, "LIKE '%'", models.length);
  const alone = await tagNowAndThen(tags => tags === world.sizes.personsTags);
  const start = performance.now();
  const setReady = runLoad(models.length, CLIENTS, async at => {
    const path = `${collectionOf(namespace)}/${inferenceServiceName(keyOf(models[at]), namespace)}/status`;
    expectSuccess(path, await apiServer.send(readyPatch(path)));
  });
  const ended = new AbortController();
  const person = tagNowAndThen(() => ended.signal.aborted);
  const written = (async () => {
    await setReady;
    await untilTagged(installation, "= 'Ready'", models.length);
    return (performance.now() - start) / 1000;
  })().finally(() => {
    ended.abort();
  });
  const [{ seconds: secondsToReady }, secondsToTags, meanwhile] = await Promise.all([setReady, written, person]);
  return { versions: models.length, secondsToReady, secondsToTags, person: { alone, meanwhile } };
}

/** As KServe says it of a predictor that has come up. */
function readyPatch(path: string): Parameters<BareClient["send"]>[0] {
  const condition = { type: "Ready", status: "True", lastTransitionTime: new Date().toISOString() };
  const url = "http://model.example.com";
  const status = { conditions: [condition], url, address: { url } };
  const headers = { "content-type": "application/merge-patch+json" };
  return { method: "PATCH", path, headers, body: JSON.stringify({ status }) };
}
