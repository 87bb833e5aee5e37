import { expect, inject, it, onTestFinished } from "vitest";
import { deployModels, nameOf } from "../support/deployed-models";
import { startListener, uniqueModel } from "../support/listener-fixture";
import { openRegistry } from "../support/mlflow-registry";
import { startMlflowWithWorkspaces } from "../support/mlflow-workspaces";
import { startTamperingProxy } from "../support/tampering-proxy";
import { startMlflowForTest } from "../support/webhook-modes";
import { createNamespace, testKubectl } from "../testbed/namespaces";

const STAGING = "s3://staging/other/";

async function storageUris(namespace: string): Promise<string[]> {
  const path = "jsonpath={.items[*].spec.predictor.model.storageUri}";
  return (await testKubectl()(["get", "inferenceservices", "-n", namespace, "-o", path])).split(" ");
}

it("services are not rewritten for another MLflow that has tagged versions of the same names, until a person wants it", async () => {
  const { keys, tag, namespace } = await deployModels(3);
  const before = await storageUris(namespace);
  const { trackingUri } = await startMlflowForTest();
  const other = openRegistry(trackingUri);
  for (const { model } of keys) await other.register(model, STAGING, { [tag]: "true" });
  const settings = { DEPLOY_TAG_KEY: tag, ROLLOUT_MAX_UNAVAILABLE: "10" };
  const mistaken = await startListener({ namespace, mlflowTrackingUri: trackingUri, settings });

  for (let poll = 0; poll < 2; poll++)
    expect(await mistaken.listener.poll()).toMatchObject({ tagged: 3, created: 0, updated: 0, deleted: 0, failed: 3 });
  expect(await storageUris(namespace)).toEqual(before);
  const told = mistaken.logged.filter(
    ({ level, fields }) => level === "error" && String(fields.cause).includes("another MLflow"),
  );
  expect(told).toHaveLength(3);

  const [tagged, unrecorded] = keys;
  if (tagged === undefined || unrecorded === undefined) throw new Error("There are no versions");
  expect((await mistaken.deliver(tagged)).body).toMatchObject({ action: "updated" });
  await testKubectl()(["annotate", "inferenceservice", "-n", namespace, nameOf(unrecorded), "mlflow.registry-"]);
  expect(await mistaken.listener.poll()).toMatchObject({ failed: 1 });
  expect((await storageUris(namespace)).filter(uri => uri === STAGING)).toHaveLength(2);
});

it("a mass stays held when another MLflow has answered for one poll, and when a person had paused some of it", async () => {
  const { keys, tag, namespace } = await deployModels(10);
  const empty = await startMlflowForTest();
  const proxy = await startTamperingProxy(inject("mlflowTrackingUri"));
  onTestFinished(proxy.close);
  const registry = openRegistry(inject("mlflowTrackingUri"));
  const { listener } = await startListener({
    namespace,
    mlflowTrackingUri: proxy.url,
    settings: { DEPLOY_TAG_KEY: tag },
  });
  await Promise.all(keys.slice(0, 8).map(key => registry.deleteTag(key, tag)));
  expect(await listener.poll()).toMatchObject({ held: 8, deleted: 0 });
  proxy.target = empty.trackingUri;
  expect(await listener.poll()).toMatchObject({ held: 10, deleted: 0 });
  proxy.target = inject("mlflowTrackingUri");
  await Promise.all(keys.slice(0, 3).map(key => registry.setTag(key, tag, "true")));
  expect(await listener.poll()).toMatchObject({ tagged: 5, held: 5, deleted: 0 });

  const five = keys.slice(3, 8).map(nameOf);
  await testKubectl()(["annotate", "inferenceservice", "-n", namespace, ...five, "mlflow.management=paused"]);
  expect(await listener.poll()).toMatchObject({ held: 0, deleted: 0 });
  await testKubectl()(["annotate", "inferenceservice", "-n", namespace, ...five, "mlflow.management-"]);
  expect(await listener.poll()).toMatchObject({ held: 5, deleted: 0 });
});

it("a workspace that knows nothing of another one's services takes none of them down", async () => {
  const { trackingUri } = await startMlflowWithWorkspaces();
  const namespace = await createNamespace("workspace");
  const tag = uniqueModel("deploy");
  const access = { workspace: "team-a", tls: {} };
  const registry = openRegistry(trackingUri, access);
  for (let count = 0; count < 3; count++) await registry.register(uniqueModel("theirs"), undefined, { [tag]: "true" });
  const of = (workspace: string): ReturnType<typeof startListener> =>
    startListener({
      namespace,
      mlflowTrackingUri: trackingUri,
      mlflowVariables: { MLFLOW_WORKSPACE: workspace },
      settings: { DEPLOY_TAG_KEY: tag, DELETION_HOLD_MINUTES: "0" },
    });
  const rightful = await of("team-a");
  expect(await rightful.listener.poll()).toMatchObject({ created: 3 });
  for (const workspace of ["team-b", "default"]) {
    const mistaken = await of(workspace);
    for (let poll = 0; poll < 2; poll++) expect(await mistaken.listener.poll()).toMatchObject({ held: 3, deleted: 0 });
  }
  expect(await rightful.listener.poll()).toMatchObject({ tagged: 3, managed: 3, updated: 0 });
});
