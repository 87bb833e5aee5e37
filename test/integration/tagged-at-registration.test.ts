import { randomUUID } from "node:crypto";
import { afterEach, expect, inject, it } from "vitest";
import { hireDataScientist } from "../support/data-scientist";
import type { DataScientist } from "../support/data-scientist";
import { startListener, uniqueModel } from "../support/listener-fixture";
import { waitFor } from "../support/waiting";
import { haveDelivered } from "../support/webhook-modes";

const people: DataScientist[] = [];

afterEach(() => {
  for (const person of people.splice(0)) person.stop();
});

it("deploys a version that MLflow's client registers with the tag, without a poll", async () => {
  const trackingUri = inject("mlflowTrackingUri");
  const deployTagKey = `deploy-${randomUUID().slice(0, 8)}`;
  const { url, deployed, logged } = await startListener({
    mlflowTrackingUri: trackingUri,
    settings: { DEPLOY_TAG_KEY: deployTagKey },
  });
  await haveDelivered(trackingUri, deployTagKey, `${url}/webhook`);
  const person = await hireDataScientist(inject("python"), trackingUri);
  people.push(person);
  const model = uniqueModel("born-tagged");

  await person.register(model, "s3://models/untagged");
  await person.register(model, "s3://models/tagged", { [deployTagKey]: "true" });

  await waitFor("the service of the tagged version", async () =>
    (await deployed()).includes(`mlflow-${model}-v2`) ? true : undefined,
  );
  expect(await deployed()).toEqual([`mlflow-${model}-v2`]);
  const handled = logged.filter(({ message }) => message === "Delivery handled");
  expect(handled.map(({ fields }) => [fields.version, fields.action])).toEqual([["2", "created"]]);
});
