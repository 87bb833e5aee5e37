import { execFile } from "node:child_process";
import { mkdtemp, readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { expect, inject, it, vi } from "vitest";
import { deployModels, nameOf, pollUntil } from "../support/deployed-models";
import { applyAsFormerRelease } from "../support/former-services";
import { startListener, uniqueModel } from "../support/listener-fixture";
import { openRegistry } from "../support/mlflow-registry";
import { followDeployments, untilRolledOut } from "../support/predictor-deployments";
import { openStorage } from "../support/stored-models";
import { createNamespace, testKubectl } from "../testbed/namespaces";
import { findPredictions } from "../testbed/predictions";

const TIMEOUT = 240_000;
vi.setConfig({ testTimeout: TIMEOUT + 60_000, hookTimeout: TIMEOUT });

/** What KServe's own downloader makes of a URI: the files that the pod would have. */
async function download(uri: string): Promise<string[]> {
  const predictions = await findPredictions(testKubectl());
  if (!predictions) throw new Error("MLflow's storage is not the testbed's");
  const { endpoint, region, accessKey, secretKey } = predictions.storage;
  const folder = await mkdtemp(path.join(tmpdir(), "storage-uris-"));
  const program = "import sys\nfrom kserve_storage import Storage\nStorage.download(sys.argv[1], sys.argv[2])";
  await promisify(execFile)(inject("python"), ["-c", program, uri, folder], {
    env: {
      ...process.env,
      AWS_ENDPOINT_URL: `http://${endpoint}`,
      AWS_DEFAULT_REGION: region,
      AWS_ACCESS_KEY_ID: accessKey,
      AWS_SECRET_ACCESS_KEY: secretKey,
    },
  });
  return (await readdir(folder, { recursive: true })).sort();
}

it("lead KServe's downloader to the folder alone, or to the one file", async () => {
  const registry = openRegistry(inject("mlflowTrackingUri"));
  const storage = openStorage(inject("mlflowTrackingUri"));
  const [base, tag] = [uniqueModel("stored"), uniqueModel("deploy")];
  for (const file of ["model/MLmodel", "model/data/model.pkl", "model-old/model-settings.json", "model.zip-old/x"])
    await storage.put(`${base}/${file}`, file);
  await storage.put(`${base}/model.joblib`, "a file");
  // Without what the module adds, it is as KServe has it.
  expect(await download(`s3://mlflow/${base}/model`)).toContain("-old");

  const { services, deliver } = await startListener({ settings: { DEPLOY_TAG_KEY: tag } });
  const given = async (source: string): Promise<string> => {
    const key = await registry.register(uniqueModel("given"), source, { [tag]: "true" });
    expect(await deliver(key)).toMatchObject({ status: 200 });
    const spec = (await services.get(nameOf(key)))?.spec as { predictor: { model: { storageUri: string } } };
    return spec.predictor.model.storageUri;
  };
  const files = ["MLmodel", "data", "data/model.pkl"];
  expect(await download(await given(`s3://mlflow/${base}/model`))).toEqual(files);
  expect(await download(await given(`s3://mlflow/${base}/model/`))).toEqual(files);
  expect(await download(await given(`s3://mlflow/${base}/model.joblib`))).toEqual(["model.joblib"]);
});

it("bring services of the former release up to date a few at a time", async () => {
  const count = 6;
  const registry = openRegistry(inject("mlflowTrackingUri"));
  const tag = uniqueModel("deploy");
  const namespace = await createNamespace("folders");
  const storageUri = "s3://models/x";
  const versions = await Promise.all(
    Array.from({ length: count }, async () => {
      const { runId } = await registry.createRun();
      const key = await registry.register(uniqueModel("folders"), storageUri, { [tag]: "true" }, runId);
      return { key, runId, storageUri };
    }),
  );
  await applyAsFormerRelease(versions, namespace);
  const running = await startListener({ namespace, settings: { DEPLOY_TAG_KEY: tag, ROLLOUT_MAX_UNAVAILABLE: "2" } });
  await untilRolledOut(running.services, count, TIMEOUT);
  const deployments = await followDeployments(namespace);

  expect(await running.listener.poll()).toMatchObject({ updated: 2, outdated: count - 2, failed: 0 });
  await pollUntil(running, "the end of the rollout", ({ outdated }) => outdated === 0, TIMEOUT);
  await untilRolledOut(running.services, count, TIMEOUT);
  deployments.stop();

  expect(deployments.mostUnfinished()).toBeLessThanOrEqual(2);
  for (const { key } of versions) {
    const { spec } = (await running.services.get(nameOf(key))) ?? {};
    expect(spec).toMatchObject({ predictor: { model: { storageUri: `${storageUri}/` } } });
  }
});

it("that are not allowed any more take what runs down, held like any other mass deletion", async () => {
  const { rightful, namespace, tag, registry, keys } = await deployModels(3);
  const others = await registry.register(uniqueModel("other"), "s3://models/x-private", { [tag]: "true" });
  expect(await rightful.deliver(others)).toMatchObject({ status: 200 });
  const settings = { DEPLOY_TAG_KEY: tag, DELETION_GUARD_COUNT: "1", DELETION_GUARD_PERCENT: "1" };

  // One of four goes, and its tag stays: MLflow's next delivery about it is told why.
  const narrowed = await startListener({ namespace, settings: { ...settings, ALLOWED_STORAGE_URIS: "s3://models/x" } });
  expect(await narrowed.deliver(others)).toMatchObject({
    status: 422,
    body: {
      message: expect.stringMatching(/ALLOWED_STORAGE_URIS.*its service stays for now: the next poll/) as string,
    },
  });
  expect(await narrowed.listener.poll()).toMatchObject({ deleted: 1, held: 0 });
  expect(narrowed.logged).toContainEqual(
    expect.objectContaining({
      message: "InferenceService deleted",
      fields: expect.objectContaining({ reason: expect.stringContaining("ALLOWED_STORAGE_URIS") as string }) as unknown,
    }),
  );
  const answer = await narrowed.deliver(others);
  expect([answer.status, answer.body.message]).toEqual([422, expect.not.stringContaining("stays for now")]);

  // All at once look like a mistake.
  const wrong = await startListener({ namespace, settings: { ...settings, ALLOWED_STORAGE_URIS: "s3://typo" } });
  expect(await wrong.listener.poll()).toMatchObject({ deleted: 0, held: 3 });
  expect((await wrong.deployed()).sort()).toEqual(keys.map(nameOf).sort());
  expect(wrong.logged).toContainEqual(
    expect.objectContaining({
      message: expect.stringMatching(
        /^Mass deletion held: 3 of \d .* 3 are in a storage that is not below any/,
      ) as string,
    }),
  );
});
