import { randomUUID } from "node:crypto";
import { describe, expect, test, vi } from "vitest";
import type { ModelVersionKey } from "../../capabilities/support/model-version-key";
import { uniqueModel } from "../support/listener-fixture";
import type { Answer } from "../support/listener-fixture";
import { sendBurst } from "./burst";
import { recordFault } from "./fault-table";
import { deliverAgain, describeAnswers } from "./truth";
import type { DeliveryOptions } from "./truth";
import { startWorld } from "./world";
import type { World } from "./world";

vi.setConfig({ maxConcurrency: 8, testTimeout: 180_000 });

function sent({ url, truth }: World, key: ModelVersionKey, options?: DeliveryOptions): Promise<Answer> {
  return deliverAgain(url, truth.tag, key, options);
}

/** Changes what is to be deployed, sends something about it, and waits until the cluster is right. */
async function send(
  world: World,
  row: { readonly fault: string; readonly sent: string; readonly by: string },
  deliveries: () => Promise<readonly Answer[]>,
): Promise<readonly Answer[]> {
  const { truth, listener } = world;
  await truth.change();
  const answers = await deliveries();
  const convergedAfter = await truth.converged();
  await listener.idle();
  await truth.expectUntouched();
  recordFault({ group: "Deliveries", ...row, answer: describeAnswers(answers), convergedAfter, lost: "nothing" });
  return answers;
}

function statuses(answers: readonly Answer[]): number[] {
  return answers.map(({ status }) => status);
}

describe.concurrent("deliveries", () => {
  test.for([-240, 240])("come from a clock that is %i s off", async (clockAhead, context) => {
    const world = await startWorld(context);
    const { added, leaving } = world.truth;
    const row = {
      fault: `MLflow's clock is ${Math.abs(clockAhead) / 60} min ${clockAhead > 0 ? "ahead" : "behind"}`,
      sent: "tag set, tag deleted: 2 deliveries",
      by: "the deliveries",
    };

    const answers = await send(world, row, () =>
      Promise.all([sent(world, added, { clockAhead }), sent(world, leaving, { action: "deleted", clockAhead })]),
    );

    expect(statuses(answers)).toEqual([200, 200]);
  });

  test.for([
    [-360, "MLflow's clock is 6 min behind", /36\d s old/],
    [360, "MLflow's clock is 6 min ahead", /3[56]\d s in the future/],
    [-600, "the deliveries come 10 min late", /60\d s old/],
  ] as const)("come from a clock that is %i s off: %s", async ([clockAhead, fault, cause], context) => {
    const world = await startWorld(context);
    const { added, leaving } = world.truth;
    const row = { fault, sent: "tag set, tag deleted: 2 deliveries", by: "the next poll" };

    const answers = await send(world, row, () =>
      Promise.all([sent(world, added, { clockAhead }), sent(world, leaving, { action: "deleted", clockAhead })]),
    );

    expect(statuses(answers)).toEqual([401, 401]);
    for (const { body } of answers) expect(body.message).toMatch(cause);
  });

  test("come ten times each, at once", async context => {
    const world = await startWorld(context);
    const { added, leaving } = world.truth;
    const timestamp = Math.floor(Date.now() / 1000);
    const row = {
      fault: "each delivery comes ten times at once, with the same id",
      sent: "tag set, tag deleted: 20 deliveries",
      by: "the deliveries",
    };

    const answers = await send(world, row, async () => {
      const [set, deleted] = [randomUUID(), randomUUID()];
      return await Promise.all(
        Array.from({ length: 10 }, () => [
          sent(world, added, { deliveryId: set, timestamp }),
          sent(world, leaving, { action: "deleted", deliveryId: deleted, timestamp }),
        ]).flat(),
      );
    });

    expect(statuses(answers)).toEqual(answers.map(() => 200));
  });

  test("are replayed later, within the window and after it", async context => {
    const world = await startWorld(context);
    const { truth } = world;
    const replayed = { deliveryId: randomUUID(), timestamp: Math.floor(Date.now() / 1000) - 200 };
    const tooOld = { deliveryId: randomUUID(), timestamp: Math.floor(Date.now() / 1000) - 301 };
    // Both were right when they were new: the one that goes was to come, and the one that comes was to go.
    const row = {
      fault: "old deliveries that say the opposite are replayed, within 5 min and after",
      sent: "tag set, tag deleted: 4 replayed deliveries",
      by: "the deliveries, which read the tag as it is",
    };

    const answers = await send(world, row, () =>
      Promise.all([
        sent(world, truth.added, { action: "deleted", ...replayed }),
        sent(world, truth.leaving, { action: "set", ...replayed }),
        sent(world, truth.added, { action: "deleted", ...tooOld }),
        sent(world, truth.leaving, { action: "set", ...tooOld }),
      ]),
    );

    expect(statuses(answers)).toEqual([200, 200, 401, 401]);
  });

  test("come in the wrong order: deleted before set, set before deleted", async context => {
    const world = await startWorld(context);
    const { added, leaving } = world.truth;
    const row = {
      fault: "deliveries come in the wrong order: the older one last",
      sent: "tag deleted and set, tag set and deleted: 4 deliveries",
      by: "the deliveries",
    };

    const answers = await send(world, row, async () => [
      await sent(world, added, { action: "set" }),
      await sent(world, added, { action: "deleted" }),
      await sent(world, leaving, { action: "deleted" }),
      await sent(world, leaving, { action: "set" }),
    ]);

    expect(statuses(answers)).toEqual([200, 200, 200, 200]);
  });
});

/** Deliveries of the burst, and the versions that they are about: some models' of 25 each. */
const [DELIVERIES, MODELS, VERSIONS] = [10_000, 8, 25];

/** Fewer than the endpoint serves (512) and works on (500), so that it must answer for each. */
const CONNECTIONS = 450;

test("10,000 deliveries come at once", async context => {
  const world = await startWorld(context);
  const { truth, logged } = world;
  const tagged: ModelVersionKey[] = [];
  const untagged: ModelVersionKey[] = [];
  const registerModel = async (): Promise<void> => {
    const model = uniqueModel("burst");
    for (let version = 1; version <= VERSIONS; version++) {
      // Four in five are not tagged: deliveries about them are about a tag that is gone again.
      const [list, tags] = version % 5 === 0 ? [tagged, { [truth.tag]: "true" }] : [untagged, {}];
      list.push(await truth.registry.register(model, "s3://models/x", tags));
    }
  };
  await Promise.all(Array.from({ length: MODELS }, registerModel));

  const { byStatus, seconds } = await sendBurst({
    ...{ url: world.url, tag: truth.tag, deliveries: DELIVERIES, connections: CONNECTIONS },
    keys: [...tagged, ...untagged],
  });

  // 200, or what MLflow tries again.
  for (const status of byStatus.keys()) expect([200, 429, 500, 502, 503, 504]).toContain(status);
  expect([...byStatus.values()].reduce((sum, count) => sum + count, 0)).toBe(DELIVERIES);
  const convergedAfter = await truth.converged([...truth.kept, truth.leaving, ...tagged]);
  await truth.expectUntouched();
  expect(logged.filter(({ message }) => message === "A request failed unexpectedly")).toEqual([]);
  recordFault({
    group: "Deliveries",
    fault: `${DELIVERIES} deliveries in a burst, about ${MODELS * VERSIONS} versions`,
    sent: `${DELIVERIES} deliveries over ${CONNECTIONS} connections, in ${seconds.toFixed(0)} s`,
    answer: [...byStatus].map(([status, count]) => `${count}× ${status}`).join(", "),
    convergedAfter,
    by: "the deliveries",
    lost: "nothing",
  });
});
