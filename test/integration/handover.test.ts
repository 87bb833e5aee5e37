import { describe, expect, it, vi } from "vitest";
import { deployModels, nameOf, pollUntil } from "../support/deployed-models";
import { startListener, uniqueModel } from "../support/listener-fixture";
import { followReady } from "../support/ready-services";

// KServe may be busy with what other tests have deployed.
const TIMEOUT = 120_000;
vi.setConfig({ testTimeout: 2 * TIMEOUT });

describe("a model that changes hands", () => {
  // The model alone, and beside others: of a fleet of one, it is all there is.
  it.each([1, 3])("by its next version in one breath is served throughout, of %i", async count => {
    const { keys, tag, rightful, namespace, registry } = await deployModels(count);
    const [old] = keys;
    if (old === undefined) throw new Error("Nothing was deployed");
    const { until, onlyOneLeft, secondsWithout } = await followReady(namespace, name =>
      name.startsWith(`mlflow-${old.model}-`),
    );
    await until(nameOf(old), TIMEOUT);

    const next = await registry.register(old.model, "s3://models/next", { [tag]: "true" });
    await registry.deleteTag(old, tag);
    expect(await rightful.listener.poll()).toMatchObject({ created: 1, deleted: 0 });
    await pollUntil(rightful, "the old version's end", ({ deleted }) => deleted === 1, TIMEOUT);

    await onlyOneLeft(nameOf(next), TIMEOUT);
    expect(secondsWithout()).toBe(0);
  });

  it("by its next version, told by deliveries, is served throughout", async () => {
    const { keys, tag, rightful, namespace, registry } = await deployModels(2);
    const [old] = keys;
    if (old === undefined) throw new Error("Nothing was deployed");
    const { until, onlyOneLeft, secondsWithout } = await followReady(namespace, name =>
      name.startsWith(`mlflow-${old.model}-`),
    );
    await until(nameOf(old), TIMEOUT);

    const next = await registry.register(old.model, "s3://models/next", { [tag]: "true" });
    await registry.deleteTag(old, tag);
    const answers = await Promise.all([rightful.deliver(old, "deleted"), rightful.deliver(next)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    await pollUntil(rightful, "the old version's end", ({ managed }) => managed === 2, TIMEOUT);

    await onlyOneLeft(nameOf(next), TIMEOUT);
    expect(secondsWithout()).toBe(0);
  });

  it("by its next version, as all others at once, is no mass: the old ones go when the new ones are Ready", async () => {
    const { keys, tag, namespace, registry } = await deployModels(3);
    // A process that saw none of them before.
    const fresh = await startListener({ namespace, settings: { DEPLOY_TAG_KEY: tag } });
    for (const key of keys) {
      await registry.register(key.model, "s3://models/next", { [tag]: "true" });
      await registry.deleteTag(key, tag);
    }
    await fresh.listener.poll();
    await pollUntil(fresh, "the old versions' end", ({ managed, held }) => managed === 3 && held === 0, TIMEOUT);
    const messages = fresh.logged.map(({ message }) => message);
    expect(messages.filter(message => message.startsWith("Mass deletion held"))).toEqual([]);
  });

  it.each([1, 3])("by a new name is served throughout, of %i", async count => {
    const { keys, rightful, namespace, registry } = await deployModels(count);
    const [old] = keys;
    if (old === undefined) throw new Error("Nothing was deployed");
    const renamed = { ...old, model: uniqueModel("renamed") };
    const names = [nameOf(old), nameOf(renamed)];
    const { until, onlyOneLeft, secondsWithout } = await followReady(namespace, name => names.includes(name));
    await until(nameOf(old), TIMEOUT);

    await registry.renameModel(old.model, renamed.model);
    // One that MLflow tries again about the former name, before anything has the new one.
    expect((await rightful.deliver(old)).body).toMatchObject({ action: "held" });
    expect(await rightful.listener.poll()).toMatchObject({ created: 1, deleted: 0 });
    await pollUntil(rightful, "the old name's end", ({ managed }) => managed === count, TIMEOUT);

    await onlyOneLeft(nameOf(renamed), TIMEOUT);
    expect(secondsWithout()).toBe(0);
  });
});
