import { isDeepStrictEqual } from "node:util";
import { keyOf } from "../../capabilities/kserve/identity";
import { servedModelName } from "../../capabilities/kserve/served-model";
import type { LiveInferenceService } from "../../capabilities/kserve/live-inference-service";
import type { Timed } from "../support/data-scientist";
import { listManaged } from "../support/managed-services";
import type { LogLine } from "../support/replica";
import { waitFor } from "../support/waiting";
import { say } from "../support/command-output";
import { infer, inferenceRequest, predictionsOf } from "../testbed/inference";
import type { ModelAddress, Rows } from "../testbed/inference";
import { printPrediction, printService, printTimeline } from "./printing";
import { watchPredictor } from "./predictor-progress";
import type { Progress } from "./predictor-progress";
import type { Stage } from "./stage";

/** Measures of two flowers, an Iris setosa (0) and an Iris virginica (2). */
export const FLOWERS: Rows = [
  [5.1, 3.5, 1.4, 0.2],
  [6.7, 3.0, 5.2, 2.3],
];

/** The level of errors, as Pino numbers it. */
const ERROR = 50;

/** Milliseconds until a model must be loaded, on a machine that is busy with other things. */
const LOAD_TIMEOUT = 300_000;

/**
 * Tags a version and shows what follows, up to its first prediction beside Python's own.
 * @returns where the version can be asked; undefined when models do not run on this machine
 * @throws when a step does not happen, or the two predictions differ
 */
export async function deploy(stage: Stage, version: string): Promise<ModelAddress | undefined> {
  const { module, scientist, ingress, names } = stage;
  say(`\nSetting the tag ${names.tag}=true on ${names.model} version ${version}`);
  const tag = await scientist.setTag(names.model, version, names.tag, "true");
  const isAboutIt = (line: LogLine): boolean => line.model === names.model && line.version === version;
  const delivery = await module.waitForLine(
    "the delivery of MLflow's event",
    line => isAboutIt(line) && line.msg?.startsWith("Delivery") === true,
  );
  if (Number(delivery.level) >= ERROR) throw new Error(`The delivery failed: ${String(delivery.cause)}`);
  if (ingress === undefined) {
    const ready = await untilReady(stage, version);
    printTimeline(tag, delivery, { ready: ready.seenAt });
    printService(ready.live);
    say("\nIts predictions are not shown: the cluster or MLflow's storage is not this program's own.");
    return undefined;
  }
  return await untilItAnswers({ ...stage, ingress }, version, tag, delivery);
}

async function untilItAnswers(
  stage: Stage & { readonly ingress: string },
  version: string,
  tag: Timed,
  delivery: LogLine,
): Promise<ModelAddress> {
  const { apiServer, scientist, ingress, names } = stage;
  const address = await waitFor("the address of the InferenceService", async () => {
    const live = await findService(stage, version);
    const url = live?.status.url;
    if (live === undefined || url === undefined) return undefined;
    return { ingress, host: new URL(url).hostname, service: live.metadata.name, model: servedModelName(live) };
  });
  const [ready, progress]: [Ready, Progress] = await Promise.all([
    untilReady(stage, version),
    watchPredictor(apiServer, names.namespace, address, LOAD_TIMEOUT),
  ]);
  const request = inferenceRequest(FLOWERS);
  const answer = await infer(address, request);
  const answered = Date.now();
  const predictions = predictionsOf(answer);
  printTimeline(tag, delivery, { ready: ready.seenAt, progress, answered });
  printService(ready.live);
  const { predictions: inPython } = await scientist.predict(names.model, version, FLOWERS);
  if (!isDeepStrictEqual(predictions, inPython)) {
    const both = `${JSON.stringify(predictions)} by KServe and ${JSON.stringify(inPython)} by Python`;
    throw new Error(`The predictions of ${names.model} version ${version} differ: ${both}`);
  }
  printPrediction(address, request, answer.text, inPython);
  return address;
}

/** Shows that two versions answer at the same time. */
export async function askBoth(addresses: readonly ModelAddress[]): Promise<void> {
  say("\nBoth versions, side by side");
  for (const address of addresses) {
    const predictions = predictionsOf(await infer(address, inferenceRequest(FLOWERS)));
    say(`  ${address.service.padEnd(20)} ${JSON.stringify(predictions)}`);
  }
}

/** Removes a version's tag and waits until its InferenceService is gone. */
export async function takeDown(stage: Stage, version: string): Promise<void> {
  const { names, scientist } = stage;
  say(`\nRemoving the tag of ${names.model} version ${version}`);
  const tag = await scientist.deleteTag(names.model, version, names.tag);
  await waitFor("the InferenceService's end", async () =>
    (await findService(stage, version)) === undefined ? true : undefined,
  );
  say(`  InferenceService gone after ${Math.round(Date.now() - tag.started_at)} ms`);
}

interface Ready {
  readonly live: LiveInferenceService;
  /** Unix milliseconds. */
  readonly seenAt: number;
}

function untilReady(stage: Stage, version: string): Promise<Ready> {
  return waitFor(
    "InferenceService Ready=True, set by KServe's controller",
    async () => {
      const live = await findService(stage, version);
      const ready = live?.status.conditions.some(({ type, status }) => type === "Ready" && status === "True");
      return live && ready ? { live, seenAt: Date.now() } : undefined;
    },
    LOAD_TIMEOUT,
  );
}

async function findService({ services, names }: Stage, version: string): Promise<LiveInferenceService | undefined> {
  const live = await listManaged(services);
  return live.find(({ metadata }) => {
    const key = keyOf(metadata);
    return key?.model === names.model && key.version === version;
  });
}
