import { beforeAll, describe, expect, inject, it } from "vitest";
import { deployModels, nameOf, pollUntil } from "../support/deployed-models";
import { startListener } from "../support/listener-fixture";
import { openRegistry } from "../support/mlflow-registry";
import { installPeprStore } from "../support/pepr-store";
import { createReplica } from "../support/replica";
import { startTamperingProxy } from "../support/tampering-proxy";
import { waitFor } from "../support/waiting";
import { startMlflow } from "../testbed/mlflow";
import { testKubectl } from "../testbed/namespaces";

const OURS = inject("mlflowTrackingUri");

/** Another MLflow, which knows nothing of ours. */
let elsewhere: string;

beforeAll(async () => {
  const [{ trackingUri }] = await Promise.all([
    startMlflow({ python: inject("python"), workers: 1 }),
    installPeprStore(testKubectl(), inject("kubeconfig")),
  ]);
  elsewhere = trackingUri;
});

async function servicesIn(namespace: string): Promise<unknown[]> {
  const list = await testKubectl()(["get", "inferenceservices", "-n", namespace, "-o", "json"]);
  return (JSON.parse(list) as { items: unknown[] }).items;
}

describe("20 services that somebody relabelled, and an address that leads to an empty MLflow", () => {
  it("are deleted neither by the poll nor by the watch of a new process", async () => {
    const { names, tag, rightful, namespace } = await deployModels(20);
    await testKubectl()(["label", "inferenceservices", "--all", "-n", namespace, "team=a"]);

    const restarted = await startListener({
      namespace,
      mlflowTrackingUri: elsewhere,
      settings: { DEPLOY_TAG_KEY: tag, DELETION_HOLD_MINUTES: "0" },
    });
    // What Pepr's watch does first: it tells of each object that is there.
    for (const object of await servicesIn(namespace)) restarted.listener.observer.changed(object);
    await restarted.listener.idle();
    expect(await restarted.listener.poll()).toMatchObject({ tagged: 0, managed: 20, held: 20, deleted: 0 });
    for (const object of await servicesIn(namespace)) restarted.listener.observer.changed(object);
    await restarted.listener.idle();

    expect((await rightful.deployed()).sort()).toEqual(names);
  });

  it("with Pepr's own watch and the timer of the poll", async ({ onTestFinished }) => {
    const { names, tag, rightful, namespace } = await deployModels(20);
    await testKubectl()(["label", "inferenceservices", "--all", "-n", namespace, "team=a"]);

    const replica = await createReplica({
      name: `removals-${namespace}`,
      role: "watcher",
      kubeconfig: inject("kubeconfig"),
      logDirectory: inject("logDirectory"),
      settings: {
        MLFLOW_TRACKING_URI: elsewhere,
        KUBE_NAMESPACE: namespace,
        DEPLOY_TAG_KEY: tag,
        DISABLE_WEBHOOKS: "true",
        POLLING_INTERVAL: "10",
        LOG_LEVEL: "DEBUG",
      },
    });
    onTestFinished(async () => void (await replica.terminate()));
    await replica.start();
    const said = (what: RegExp): number => replica.logged.filter(({ msg = "" }) => what.test(msg)).length;
    await waitFor("two polls and a look at each service", () => {
      const isDone = said(/^InferenceService changed by others/) >= 20 && said(/^Poll finished/) >= 2;
      return isDone || undefined;
    });

    expect((await rightful.deployed()).sort()).toEqual(names);
    expect(replica.logged).toContainEqual(
      expect.objectContaining({ msg: expect.stringMatching(/^Deletion held: 20 of 20/) as string }),
    );
  });
});

describe("what a poll holds", () => {
  it("stays held when others are wanted again, so that it is no longer a mass", async () => {
    const { keys, tag, rightful, registry } = await deployModels(30);
    const untagged = keys.slice(0, 20);
    await Promise.all(untagged.map(key => registry.deleteTag(key, tag)));
    expect(await rightful.listener.poll()).toMatchObject({ held: 20, deleted: 0 });

    await Promise.all(untagged.slice(0, 6).map(key => registry.setTag(key, tag, "true")));

    // 14 of 30 are less than half.
    expect(await rightful.listener.poll()).toMatchObject({ held: 14, deleted: 0 });
    expect(await rightful.listener.poll()).toMatchObject({ held: 14, deleted: 0 });
    expect(await rightful.deployed()).toHaveLength(30);
  });

  it("goes when it was held for DELETION_HOLD_MINUTES, however many polls that are, but what a person keeps or deletes", async () => {
    const seconds = 6;
    const { keys, names, tag, rightful, namespace, registry } = await deployModels(4, {
      DELETION_HOLD_MINUTES: String(seconds / 60),
    });
    await Promise.all(keys.map(key => registry.deleteTag(key, tag)));
    const start = performance.now();
    expect(await rightful.listener.poll()).toMatchObject({ held: 4, deleted: 0 });
    const [kept = "", deleted = "", ...others] = names;
    const isvc = (verb: string): string[] => [verb, "inferenceservice", "-n", namespace];
    await testKubectl()([...isvc("annotate"), kept, "mlflow.management=paused"]);
    await testKubectl()([...isvc("delete"), deleted]);
    let polls = 0;

    await pollUntil(rightful, "the end of the hold", report => {
      polls++;
      return report.deleted === others.length;
    });

    expect(performance.now() - start).toBeGreaterThan(seconds * 1000);
    expect(polls).toBeGreaterThan(6);
    expect(await rightful.listener.poll()).toMatchObject({ held: 0, deleted: 0, created: 0 });
    expect(await rightful.deployed()).toEqual([kept]);
    const event = await waitFor("the event", async () => {
      const found = ["get", "events", "-n", namespace, "--field-selector", "reason=MassDeletionHeld"];
      return (await testKubectl()([...found, "-o", "jsonpath={.items[*].message}"])) || undefined;
    });
    expect(event).toContain(`kubectl delete inferenceservice -n ${namespace}`);
    expect(event).toContain("mlflow.management=paused");
    const metrics = await (await fetch(`${rightful.url}/metrics`)).text();
    expect(metrics).toMatch(/^inference_service_deletions_held 0$/m);
  });
});

describe.each([3, 5])("a fleet of %i", count => {
  it("stays when the address leads to an empty MLflow, for good", async () => {
    const { names, tag, rightful, namespace } = await deployModels(count);
    const settings = { DEPLOY_TAG_KEY: tag, DELETION_HOLD_MINUTES: "0" };
    const mistaken = await startListener({ namespace, mlflowTrackingUri: elsewhere, settings });

    for (let pass = 0; pass < 3; pass++)
      expect(await mistaken.listener.poll()).toMatchObject({ held: count, deleted: 0 });

    expect((await rightful.deployed()).sort()).toEqual(names);
    expect(await rightful.listener.poll()).toMatchObject({ tagged: count, updated: 0, created: 0, held: 0 });
  });

  it("stays when DEPLOY_TAG_KEY is mistyped", async () => {
    const { names, tag, rightful, namespace } = await deployModels(count);
    const mistaken = await startListener({ namespace, settings: { DEPLOY_TAG_KEY: `${tag}x` } });

    for (let pass = 0; pass < 3; pass++)
      expect(await mistaken.listener.poll()).toMatchObject({ held: count, deleted: 0 });

    expect((await rightful.deployed()).sort()).toEqual(names);
  });

  it("stays when another MLflow, with untagged versions of the same names, comes to the same address", async ({
    onTestFinished,
  }) => {
    const proxy = await startTamperingProxy(OURS);
    onTestFinished(proxy.close);
    const { keys, names, tag, rightful } = await deployModels(count, { DELETION_HOLD_MINUTES: "0" });
    const { namespace } = rightful;
    const settings = { DEPLOY_TAG_KEY: tag, DELETION_HOLD_MINUTES: "0" };
    const running = await startListener({ namespace, mlflowTrackingUri: proxy.url, settings });
    expect(await running.listener.poll()).toMatchObject({ tagged: count, created: 0, updated: 0 });
    const another = openRegistry(elsewhere);
    await Promise.all(keys.map(({ model }) => another.register(model)));

    proxy.rewrite = path => `${elsewhere}${path}`;
    const [first] = keys;
    for (let pass = 0; pass < 3; pass++)
      expect(await running.listener.poll()).toMatchObject({ tagged: 0, held: count, deleted: 0 });
    // Not even a delivery is evidence when it is the other MLflow's.
    if (first !== undefined) expect((await running.deliver(first, "deleted")).body).toMatchObject({ action: "held" });

    expect((await rightful.deployed()).sort()).toEqual(names);
  });
});

describe("a model that is deleted in the registry that it came from", () => {
  it.each(["the process that saw it", "a new process"])("goes at the next poll of %s", async who => {
    const { keys, names, tag, rightful, namespace, registry } = await deployModels(3);
    const polling =
      who === "a new process" ? await startListener({ namespace, settings: { DEPLOY_TAG_KEY: tag } }) : rightful;
    const [gone] = keys;
    if (gone === undefined) throw new Error("Nothing was deployed");
    await registry.deleteModel(gone.model);

    expect(await polling.listener.poll()).toMatchObject({ held: 0, deleted: 1 });

    expect((await rightful.deployed()).sort()).toEqual(names.filter(name => name !== nameOf(gone)));
  });
});
