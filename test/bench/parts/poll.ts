import { openRegistry } from "../../support/mlflow-registry";
import { apiServerClient, freshConnections } from "../bare-client";
import type { BareClient } from "../bare-client";
import { median, runLoad } from "../load";
import { startPoller } from "../poller";
import type { MeasuredPoll, Poller } from "../poller";
import type { PollResults, PollSize, PollStep } from "../results";
import { modelNames, startFilledMlflow } from "../world";
import type { World } from "../world";
import { listBare, searchBare } from "./bare-poll";
import { measureMemory } from "./memory";

/** Of all versions, tagged. */
const TAGGED_SHARE = 0.1;

/** Of the tagged versions, changed between two polls. */
const CHANGED_SHARE = 0.01;

/** Tags that are being changed at the same time. */
const CLIENTS = 8;

/** Services of which the guard against mass deletions lets go at once, if they are not all there are (its default). */
const NO_MASS = 5;

/** Polls of registries of several sizes, and what is in the memory of a watcher of many services. */
export async function measurePolls(world: World): Promise<PollResults> {
  const { polls, services } = world.sizes;
  const sizes: PollSize[] = [];
  const largest = Math.max(...polls);
  for (const versions of polls) sizes.push(...(await measureSize(world, versions, versions === largest)));
  return { sizes, memory: await measureMemory(world, services) };
}

/** A registry and those of its versions that have one tag. */
interface Tagged {
  readonly models: readonly string[];
  readonly tag: string;
  readonly trackingUri: string;
}

async function measureSize(world: World, versions: number, alsoFewTagged: boolean): Promise<PollSize[]> {
  const models = modelNames("polled", versions);
  const tagged = models.slice(0, Math.ceil(versions * TAGGED_SHARE));
  const start = performance.now();
  const mlflow = await startFilledMlflow(world, { models, tagged: tagged.length });
  const filled = (performance.now() - start) / 1000;
  const { trackingUri } = mlflow;
  try {
    const whole = { models: tagged, tag: "deploy", trackingUri };
    const sizes = [{ versions, filled, ...(await measureTagged(world, whole, models.slice(tagged.length))) }];
    if (!alsoFewTagged) return sizes;
    // The same registry with a tenth of the tags: what is not tagged should cost nothing.
    const few = { models: tagged.slice(0, Math.ceil(tagged.length / 10)), tag: "seldom", trackingUri };
    await changeTags(few, few.models, []);
    return [...sizes, { versions, filled: 0, ...(await measureTagged(world, few)) }];
  } finally {
    await mlflow.part.stop();
  }
}

/** @param others versions without the tag that may get it; without them nothing is changed */
async function measureTagged(
  world: World,
  tagged: Tagged,
  others?: readonly string[],
): Promise<Omit<PollSize, "versions" | "filled">> {
  const { kubeconfig } = world;
  const { models, tag, trackingUri } = tagged;
  const namespace = await world.createNamespace("polled");
  const poller = await startPoller({ kubeconfig, mlflowTrackingUri: trackingUri, namespace, deployTagKey: tag });
  const [mlflow, apiServer] = [freshConnections(trackingUri), await apiServerClient(kubeconfig)];
  try {
    const first = await poller.poll();
    expectCount(world, "The first poll created", first.report.created, models.length);
    const steps = [stepOf("first poll, all created", [first])];
    const idle = await measureIdle({ world, poller, mlflow, apiServer }, tagged, namespace);
    steps.push(idle.step);
    if (others !== undefined) {
      const changed = Math.ceil(models.length * CHANGED_SHARE);
      await changeTags(tagged, others.slice(0, changed), models.slice(0, changed));
      const poll = await poller.poll();
      expectCount(world, "A poll after changes created", poll.report.created, changed);
      expectCount(world, "A poll after changes deleted", poll.report.deleted, changed);
      steps.push(stepOf("1 % of the tags set, 1 % deleted", [poll]));
      steps.push(await deleteAll(world, poller, tagged, [...models.slice(changed), ...others.slice(0, changed)]));
    }
    return { tagged: models.length, steps, bareSearch: idle.bareSearch, bareList: idle.bareList };
  } finally {
    mlflow.close();
    apiServer.close();
    await poller.stop();
  }
}

interface IdleBench {
  readonly world: World;
  readonly poller: Poller;
  readonly mlflow: BareClient;
  readonly apiServer: BareClient;
}

/** Polls with nothing to do, in turns with the bare search and list; the medians count. */
async function measureIdle(
  { world, poller, mlflow, apiServer }: IdleBench,
  { models, tag }: Tagged,
  namespace: string,
): Promise<{ step: PollStep; bareSearch: number; bareList: number }> {
  const polls: MeasuredPoll[] = [];
  const [searches, lists]: [number[], number[]] = [[], []];
  const timed = async (times: number[], what: string, work: () => Promise<number>): Promise<void> => {
    const start = performance.now();
    expectCount(world, what, await work(), models.length);
    times.push((performance.now() - start) / 1000);
  };
  for (let turn = 0; turn < world.sizes.idlePolls; turn++) {
    await timed(searches, "The bare search found", () => searchBare(mlflow, `tag.\`${tag}\` ILIKE 'true'`));
    await timed(lists, "The bare list has", () => listBare(apiServer, namespace));
    const poll = await poller.poll();
    expectCount(world, "A poll with nothing to do changed", changesOf(poll), 0);
    polls.push(poll);
  }
  return { step: stepOf("nothing to do", polls), bareSearch: median(searches), bareList: median(lists) };
}

/** By halves: more at once the guard against mass deletions would hold until half an hour of polls confirmed them. */
async function deleteAll(world: World, poller: Poller, tagged: Tagged, models: readonly string[]): Promise<PollStep> {
  const polls: MeasuredPoll[] = [];
  let left = models;
  while (left.length > 0) {
    const count = left.length <= NO_MASS ? Math.max(1, left.length - 1) : Math.floor(left.length / 2);
    await changeTags(tagged, [], left.slice(0, count));
    left = left.slice(count);
    const poll = await poller.poll();
    expectCount(world, "A poll after tags were deleted deleted", poll.report.deleted, count);
    polls.push(poll);
  }
  const each = stepOf("", polls);
  const sum = (of: (poll: MeasuredPoll) => number): number => polls.reduce((all, poll) => all + of(poll), 0);
  return {
    ...each,
    step: `all tags deleted, by halves (${polls.length} polls)`,
    seconds: sum(({ seconds }) => seconds),
    processorSeconds: sum(({ cpuSeconds }) => cpuSeconds),
    mlflowRequests: sum(({ mlflowRequests }) => mlflowRequests),
    apiServerRequests: sum(({ apiServerRequests }) => apiServerRequests),
  };
}

async function changeTags(
  { tag, trackingUri }: Tagged,
  toSet: readonly string[],
  toDelete: readonly string[],
): Promise<void> {
  const registry = openRegistry(trackingUri);
  const key = (models: readonly string[], at: number): { model: string; version: string } => ({
    model: models[at] ?? "",
    version: "1",
  });
  await runLoad(toSet.length, CLIENTS, at => registry.setTag(key(toSet, at), tag, "true"));
  await runLoad(toDelete.length, CLIENTS, at => registry.deleteTag(key(toDelete, at), tag));
}

/** The medians of several polls that found the same. */
function stepOf(step: string, polls: readonly MeasuredPoll[]): PollStep {
  const middle = (of: (poll: MeasuredPoll) => number): number => median(polls.map(of));
  return {
    step,
    seconds: middle(({ seconds }) => seconds),
    processorSeconds: middle(({ cpuSeconds }) => cpuSeconds),
    mlflowRequests: middle(({ mlflowRequests }) => mlflowRequests),
    apiServerRequests: middle(({ apiServerRequests }) => apiServerRequests),
    memory: Math.max(...polls.map(({ memory }) => memory)),
  };
}

function changesOf({ report }: MeasuredPoll): number {
  return report.created + report.updated + report.deleted;
}

function expectCount(world: World, what: string, count: number, expected: number): void {
  if (count !== expected) world.problem(`${what} ${count}, not ${expected}`);
}
