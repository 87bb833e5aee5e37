import { beforeAll, describe, expect, inject, it } from "vitest";
import type { ModelVersionKey } from "../../capabilities/support/model-version-key";
import { startListener, uniqueModel } from "../support/listener-fixture";
import { openRegistry } from "../support/mlflow-registry";
import { waitFor } from "../support/waiting";
import { startMlflow } from "../testbed/mlflow";
import { testKubectl } from "../testbed/namespaces";

const registry = openRegistry(inject("mlflowTrackingUri"));
let keys: ModelVersionKey[];

// More than a poll may always delete, and all there are.
const COUNT = 7;

const TAG = { DEPLOY_TAG_KEY: "deploy-mass" };
const TAGGED = { "deploy-mass": "true" };

beforeAll(async () => {
  keys = await Promise.all(
    Array.from({ length: COUNT }, () => registry.register(uniqueModel("mass"), "s3://models/x", TAGGED)),
  );
});

async function metric(url: string, name: string): Promise<string | undefined> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return new RegExp(`^${name} (.*)$`, "m").exec(text)?.[1];
}

describe("a poll that would delete nearly everything", () => {
  it("because the address leads to an MLflow that is empty: holds it, says so, and forgets it when it was a mistake", async () => {
    const rightful = await startListener({ settings: TAG });
    const { namespace } = rightful;
    await rightful.listener.poll();
    const names = await rightful.deployed();
    expect(names).toHaveLength(COUNT);

    const empty = await startMlflow({ python: inject("python"), workers: 1 });
    const mistaken = await startListener({ namespace, mlflowTrackingUri: empty.trackingUri, settings: TAG });
    for (let pass = 0; pass < 3; pass++) {
      expect(await mistaken.listener.poll()).toMatchObject({ tagged: 0, managed: COUNT, held: COUNT, deleted: 0 });
    }
    await empty.part.stop();

    expect(await rightful.deployed()).toEqual(names);
    expect(await metric(mistaken.url, "inference_service_deletions_held")).toBe(String(COUNT));
    expect(mistaken.logged).toContainEqual(
      expect.objectContaining({
        level: "error",
        message: expect.stringMatching(/^Mass deletion held: 7 of 7/) as string,
      }),
    );
    const event = await waitFor("the event", async () => {
      const found = ["get", "events", "-n", namespace, "--field-selector", "reason=MassDeletionHeld"];
      return (await testKubectl()([...found, "-o", "jsonpath={.items[*].message}"])) || undefined;
    });
    expect(event).toContain("check that MLFLOW_KSERVE_MLFLOW_TRACKING_URI still leads to the MLflow");
    expect(await rightful.listener.poll()).toMatchObject({ tagged: COUNT, managed: COUNT, updated: 0, created: 0 });
  });

  it("because all tags were removed: does so once further polls have confirmed each of them", async () => {
    const { listener, deployed, url } = await startListener({
      settings: { ...TAG, DELETION_GUARD_CONFIRMATIONS: "2" },
    });
    await listener.poll();
    await listener.idle(); // A second look that came after the tag was deleted would rightly take its service down.
    await Promise.all(keys.map(key => registry.deleteTag(key, "deploy-mass")));

    expect(await listener.poll()).toMatchObject({ held: COUNT, deleted: 0 });
    expect(await listener.poll()).toMatchObject({ held: COUNT, deleted: 0 });
    expect(await deployed()).toHaveLength(COUNT);
    expect(await listener.poll()).toMatchObject({ held: 0, deleted: COUNT });

    expect(await deployed()).toEqual([]);
    expect(await metric(url, "inference_service_deletions_held")).toBe("0");
  });
});
