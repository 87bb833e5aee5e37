import { readFile } from "node:fs/promises";
import path from "node:path";
import { readdirSync } from "node:fs";
import { expect, inject, it } from "vitest";
import { hireDataScientist } from "../support/data-scientist";
import { nameOf } from "../support/deployed-models";
import { startListener, uniqueModel } from "../support/listener-fixture";
import { openRegistry } from "../support/mlflow-registry";
import { openStorage } from "../support/stored-models";
import type { StoredModels } from "../support/stored-models";
import { waitFor } from "../support/waiting";
import { isLoaded } from "../testbed/inference";
import { createNamespace, testKubectl } from "../testbed/namespaces";
import { findPredictions, runPredictorsIn } from "../testbed/predictions";
import type { Predictions } from "../testbed/predictions";

/** Milliseconds for a download and the start of a model server, on a machine that is busy with other tests. */
const LOAD_TIMEOUT = 240_000;

const registry = openRegistry(inject("mlflowTrackingUri"));

const SETTINGS = { name: "sibling", implementation: "mlserver_mlflow.MLflowRuntime", parameters: { uri: "." } };

interface Place {
  readonly predictions: Predictions;
  readonly namespace: string;
  readonly storage: StoredModels;
  /** The folder of a trained model. */
  readonly artifacts: string;
}

/** A namespace in which models run for real, and a model to copy. */
async function place(): Promise<Place> {
  const kubectl = testKubectl();
  const predictions = await findPredictions(kubectl);
  if (!predictions) throw new Error("This cluster and its MLflow are not the testbed's: nothing runs the models.");
  const namespace = await createNamespace("folder");
  await runPredictorsIn(namespace, predictions, kubectl);
  const storage = openStorage(inject("mlflowTrackingUri"));
  const scientist = await hireDataScientist(inject("python"), inject("mlflowTrackingUri"));
  const trained = uniqueModel("trained");
  const { version } = await scientist.train(trained);
  scientist.stop();
  return { predictions, namespace, storage, artifacts: await storage.folderOf(trained, version) };
}

it("serves the model of a version, and not one beside it whose folder's name goes on", async () => {
  const { predictions, namespace, storage, artifacts } = await place();
  const own = uniqueModel("own");
  const folder = `${own}/model`;
  await storage.copy(artifacts, folder);
  await storage.copy(artifacts, `${folder}-old`);
  await storage.put(`${folder}-old/model-settings.json`, JSON.stringify(SETTINGS));
  const tag = uniqueModel("deploy");
  const key = await registry.register(own, `s3://mlflow/${folder}`, { [tag]: "true" });

  const { listener, services } = await startListener({ namespace, settings: { DEPLOY_TAG_KEY: tag } });
  expect(await listener.poll()).toMatchObject({ created: 1 });

  const name = nameOf(key);
  const live = await waitFor(
    "Ready=True",
    async () => {
      const found = await services.get(name);
      const ready = found?.status.conditions.find(({ type }) => type === "Ready");
      return ready?.status === "True" ? found : undefined;
    },
    LOAD_TIMEOUT,
  );
  const address = { ingress: predictions.ingress, host: new URL(live.status.url ?? "").hostname, service: name };
  expect(await isLoaded({ ...address, model: key.model })).toBe(true);
  expect(await isLoaded({ ...address, model: "sibling" })).toBe(false);
  const log = readdirSync(predictions.podLogs).find(
    file => file.startsWith(`${namespace}_${name}-`) && file.endsWith("_storage-initializer.log"),
  );
  const downloaded = await readFile(path.join(predictions.podLogs, log ?? ""), "utf8");
  expect(downloaded).toContain(`Found S3 object: ${folder}/MLmodel `);
  expect(downloaded).not.toContain(`${folder}-old`);
}, 300_000);

it("tells of a model-settings.json by which the server gives the model another name", async () => {
  const { namespace, storage, artifacts } = await place();
  const [own, tag] = [uniqueModel("named"), uniqueModel("deploy")];
  await storage.copy(artifacts, `${own}/model`);
  await storage.put(`${own}/model/model-settings.json`, JSON.stringify(SETTINGS));
  const key = await registry.register(own, `s3://mlflow/${own}/model`, { [tag]: "true" });
  const { listener, url } = await startListener({ namespace, settings: { DEPLOY_TAG_KEY: tag } });
  expect(await listener.poll()).toMatchObject({ created: 1 });

  await waitFor(
    "the cause",
    async () => {
      const answer = await (await fetch(`${url}/services`)).text();
      return (
        answer.includes(`404 for /v2/models/${key.model}/ready, a model-settings.json in the artifacts`) || undefined
      );
    },
    LOAD_TIMEOUT,
  );
}, 300_000);
