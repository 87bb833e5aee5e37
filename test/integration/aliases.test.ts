import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, it, vi } from "vitest";
import type { ModelVersionKey } from "../../capabilities/support/model-version-key";
import { nameOf } from "../support/deployed-models";
import { startListener, uniqueModel } from "../support/listener-fixture";
import type { RunningListener } from "../support/listener-fixture";
import { openRegistry } from "../support/mlflow-registry";
import type { MlflowRegistry } from "../support/mlflow-registry";
import { followReady } from "../support/ready-services";
import { waitFor } from "../support/waiting";
import { haveDelivered } from "../support/webhook-modes";
import { registerFollowed } from "../support/followed-models";
import { startMlflow } from "../testbed/mlflow";
import type { MlflowServer } from "../testbed/mlflow";

/** Milliseconds for a service to become Ready, on a machine that is busy with other tests. */
const READY_TIMEOUT = 240_000;
vi.setConfig({ testTimeout: 2 * READY_TIMEOUT });

// An MLflow of its own: in the one of all tests, deliveries to others' webhooks may keep its threads busy for minutes.
let mlflow: MlflowServer;
let registry: MlflowRegistry;
let tag: string;
let running: RunningListener;

beforeAll(async () => {
  mlflow = await startMlflow({ python: inject("python"), logDirectory: inject("logDirectory") });
  registry = openRegistry(mlflow.trackingUri);
});
afterAll(() => mlflow.part.stop());

/** MLflow itself delivers to it; it polls only when a test has it do so. */
beforeEach(async () => {
  tag = uniqueModel("deploy");
  const settings = { DEPLOY_TAG_KEY: tag, FORMER_CHAMPION_MINUTES: "0" };
  running = await startListener({ mlflowTrackingUri: mlflow.trackingUri, settings });
  await haveDelivered(mlflow.trackingUri, tag, `${running.url}/webhook`);
});

afterEach(async () => {
  await running.listener.idle();
});

const modelWith = (count: number): Promise<ModelVersionKey[]> => registerFollowed(registry, tag, count);

const until = (what: string, names: readonly string[]): Promise<void> =>
  waitFor(
    what,
    async () => JSON.stringify((await running.deployed()).sort()) === JSON.stringify([...names].sort()) || undefined,
    READY_TIMEOUT,
  ).then(() => undefined);

/** The words of the versions that the poll knows, as the page has them. */
async function wordOf(name: string): Promise<unknown> {
  const answer = (await (await fetch(`${running.url}/services?limit=500`)).json()) as {
    services: { name: string; status: string; message?: string }[];
  };
  const { status, message } = answer.services.find(service => service.name === name) ?? {};
  return { status, message };
}

it("a model follows its champion, without a moment in which none is Ready, there and back", async () => {
  const [first, second] = (await modelWith(2)) as [ModelVersionKey, ModelVersionKey];
  const ready = await followReady(running.namespace, name => [first, second].map(nameOf).includes(name));

  await registry.setAlias(first, "champion");
  await ready.until(nameOf(first), READY_TIMEOUT);
  for (const [from, to] of [
    [first, second],
    [second, first],
  ] as const) {
    await registry.setAlias(to, "champion");
    await ready.until(nameOf(to), READY_TIMEOUT);
    expect(await running.deployed()).toContain(nameOf(to));
    await waitFor(`the end of ${nameOf(from)}`, async () => {
      await running.listener.poll();
      return !(await running.deployed()).includes(nameOf(from)) || undefined;
    });
  }
  expect(ready.secondsWithout()).toBe(0);
});

it("a challenger is served beside the champion, and a version with a tag of its own beside both; a veto beats an alias", async () => {
  const [champion, challenger, tagged] = (await modelWith(3)) as [ModelVersionKey, ModelVersionKey, ModelVersionKey];
  await registry.setAlias(champion, "champion");
  await registry.setAlias(challenger, "challenger");
  await registry.setAlias(challenger, "another");
  await registry.setTag(tagged, tag, "true");
  await until("all three", [champion, challenger, tagged].map(nameOf));

  await registry.setTag(challenger, tag, "false");
  await until("the end of the one with the veto", [champion, tagged].map(nameOf));
  expect(await running.listener.poll()).toMatchObject({ created: 0, deleted: 0, tagged: 2 });

  await registry.deleteTag(challenger, tag);
  await until("the one whose veto was taken back", [champion, challenger, tagged].map(nameOf));
});

it("the last Ready version stays when its alias is taken away, and goes when the model's tag is", async () => {
  const [only] = (await modelWith(1)) as [ModelVersionKey];
  const ready = await followReady(running.namespace, name => name === nameOf(only));
  await registry.setAlias(only, "champion");
  await ready.until(nameOf(only), READY_TIMEOUT);

  await registry.deleteAlias(only.model, "champion");
  expect(await running.listener.poll()).toMatchObject({ deleted: 0, held: 1 });
  expect(await wordOf(nameOf(only))).toEqual({
    status: "Waiting",
    message: expect.stringContaining("set the champion's alias on one, or take the tag off the model") as string,
  });
  expect(ready.secondsWithout()).toBe(0);

  await registry.setModelTag(only.model, tag, undefined);
  expect(await running.listener.poll()).toMatchObject({ deleted: 1 });
  await until("the end of it", []);
});

it("a poll finds what no event tells: the tag of a model that has its alias already", async () => {
  const model = uniqueModel("late");
  const key = await registry.register(model, "s3://models/x");
  await registry.setAlias(key, "champion");
  await running.listener.idle();
  expect(await running.deployed()).toEqual([]);

  await registry.setModelTag(model, tag, "True");
  // Unless MLflow comes only now to deliver that the alias was set.
  expect(await running.listener.poll()).toMatchObject({ tagged: 1, failed: 0 });
  expect(await running.deployed()).toEqual([nameOf(key)]);
  await running.listener.idle();

  // The search for tags that were left behind, with which a process begins, finds those of this version.
  const { namespace } = running;
  const settings = { DEPLOY_TAG_KEY: tag };
  const next = await startListener({ mlflowTrackingUri: mlflow.trackingUri, namespace, settings });
  expect(await next.listener.poll()).toMatchObject({ created: 0, deleted: 0 });
  await next.listener.idle();
  expect((await registry.tagsOf(key)).get("serving")).toMatch(/^(Starting|Ready)$/);
});
