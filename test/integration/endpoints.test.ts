import { afterAll, beforeAll, beforeEach, expect, inject, it, vi } from "vitest";
import { endpointName } from "../../capabilities/kserve/names";
import type { ModelVersionKey } from "../../capabilities/support/model-version-key";
import { nameOf } from "../support/deployed-models";
import { followAddresses } from "../support/endpoint-addresses";
import { SECRET, startListener, uniqueModel } from "../support/listener-fixture";
import { startModule } from "../support/module-process";
import { openRegistry } from "../support/mlflow-registry";
import type { MlflowRegistry } from "../support/mlflow-registry";
import { followReady } from "../support/ready-services";
import { waitFor } from "../support/waiting";
import { haveDelivered } from "../support/webhook-modes";
import { registerFollowed } from "../support/followed-models";
import { startMlflow } from "../testbed/mlflow";
import type { MlflowServer } from "../testbed/mlflow";
import { createNamespace, testKubectl } from "../testbed/namespaces";
import { freePort } from "../testbed/ports";

/** Milliseconds for a service to become Ready, on a machine that is busy with other tests. */
const READY_TIMEOUT = 240_000;
vi.setConfig({ testTimeout: 2 * READY_TIMEOUT });

// An MLflow of its own: in the one of all tests, deliveries to others' webhooks may keep its threads busy for minutes.
let mlflow: MlflowServer;
let registry: MlflowRegistry;
let tag: string;

beforeAll(async () => {
  mlflow = await startMlflow({ python: inject("python"), logDirectory: inject("logDirectory") });
  registry = openRegistry(mlflow.trackingUri);
});
afterAll(() => mlflow.part.stop());
beforeEach(() => {
  tag = uniqueModel("deploy");
});

const modelWith = (count: number): Promise<ModelVersionKey[]> => registerFollowed(registry, tag, count);

const predictorOf = (key: ModelVersionKey): string => `${nameOf(key)}-predictor`;
const addressOf = ({ model }: ModelVersionKey, namespace: string): string =>
  `http://${endpointName(model)}.${namespace}.svc.cluster.local`;

it("an endpoint leads to the champion, goes on when the next one is Ready, and back at once", async () => {
  const settings = { DEPLOY_TAG_KEY: tag, FORMER_CHAMPION_MINUTES: "0.2" };
  const running = await startListener({ mlflowTrackingUri: mlflow.trackingUri, settings });
  const { listener, namespace } = running;
  await haveDelivered(mlflow.trackingUri, tag, `${running.url}/webhook`);
  const [first, second] = (await modelWith(2)) as [ModelVersionKey, ModelVersionKey];
  const endpoint = endpointName(first.model);
  const ready = await followReady(namespace, name => [first, second].map(nameOf).includes(name));
  const addresses = await followAddresses(namespace);

  await registry.setAlias(first, "champion");
  await ready.until(nameOf(first), READY_TIMEOUT);
  await listener.poll();
  await addresses.untilSame(endpoint, predictorOf(first), READY_TIMEOUT);
  const tags = await registry.modelTagsOf(first.model);
  expect([tags.get("serving.endpoint"), tags.get("serving.traffic")]).toEqual([addressOf(first, namespace), "v1 100%"]);

  await registry.setAlias(second, "champion");
  await ready.until(nameOf(second), READY_TIMEOUT);
  await listener.poll();
  await addresses.untilSame(endpoint, predictorOf(second), READY_TIMEOUT);
  expect((await registry.modelTagsOf(first.model)).get("serving.traffic")).toBe("v2 100%");

  // By the delivery alone: the version before is still there.
  expect(await running.deployed()).toContain(nameOf(first));
  await registry.setAlias(first, "champion");
  await addresses.untilSame(endpoint, predictorOf(first), READY_TIMEOUT);

  await waitFor("the end of the former champion", async () => {
    await listener.poll();
    return !(await running.deployed()).includes(nameOf(second)) || undefined;
  });
  expect([ready.secondsWithout(), addresses.gapsOf(endpoint)]).toEqual([0, 0]);
  expect(await running.deployed()).toEqual([nameOf(first)]);

  // Nothing to do is nothing done, and what others change is put right.
  const versionNow = async (): Promise<string> =>
    await testKubectl()(["get", "service", endpoint, "-n", namespace, "-o", "jsonpath={.metadata.resourceVersion}"]);
  const before = await versionNow();
  await listener.poll();
  expect(await versionNow()).toBe(before);
  const selector = '{"spec":{"selector":{"app":"somebody-elses"}}}';
  await testKubectl()(["patch", "service", endpoint, "-n", namespace, "-p", selector]);
  await listener.poll();
  await addresses.untilSame(endpoint, predictorOf(first), READY_TIMEOUT);

  await registry.setModelTag(first.model, tag, undefined);
  await waitFor("the end of the endpoint", async () => {
    await listener.poll();
    const left = await testKubectl()(["get", "service", endpoint, "-n", namespace, "--ignore-not-found", "-o", "name"]);
    return left === "" || undefined;
  });
  expect(await running.deployed()).toEqual([]);
  expect([...(await registry.modelTagsOf(first.model)).keys()]).toEqual([]);
});

it("a Service of the endpoint's name that somebody made is left as it is, with cause and cure in the log", async () => {
  const settings = { DEPLOY_TAG_KEY: tag };
  const running = await startListener({ mlflowTrackingUri: mlflow.trackingUri, settings });
  const { listener, namespace } = running;
  const [key] = (await modelWith(1)) as [ModelVersionKey];
  const endpoint = endpointName(key.model);
  const service = ["service", endpoint, "-n", namespace];
  await testKubectl()(["create", "service", "clusterip", endpoint, "--tcp=80:80", "-n", namespace]);
  const before = await testKubectl()(["get", ...service, "-o", "json"]);
  const ready = await followReady(namespace, name => name === nameOf(key));
  await registry.setAlias(key, "champion");
  await listener.poll();
  await ready.until(nameOf(key), READY_TIMEOUT);

  await listener.poll();
  await listener.poll();
  expect(await testKubectl()(["get", ...service, "-o", "json"])).toBe(before);
  const told = running.logged.filter(({ fields }) => String(fields.cause).includes("left untouched: delete or rename"));
  expect(told.map(({ message }) => message)).toEqual(["Endpoint is not as it should be, which is tried again"]);

  await testKubectl()(["delete", ...service]);
  await listener.poll();
  expect(await testKubectl()(["get", ...service, "-o", "jsonpath={.spec.selector.app}"])).toBe(
    `isvc.${predictorOf(key)}`,
  );
});

it("a watch moves the endpoint when the new champion is Ready, without a poll", async ({ onTestFinished }) => {
  const namespace = await createNamespace("endpoints");
  const port = await freePort();
  const module = await startModule({
    ...{ kubectl: testKubectl(), kubeconfig: inject("kubeconfig"), logDirectory: inject("logDirectory") },
    ...{ port, namespace, name: tag, admission: false },
    settings: {
      MLFLOW_TRACKING_URI: mlflow.trackingUri,
      DEPLOY_TAG_KEY: tag,
      POLLING_INTERVAL: "3600",
      MLFLOW_WEBHOOK_SECRET: SECRET,
    },
  });
  onTestFinished(() => module.stop());
  await haveDelivered(mlflow.trackingUri, tag, `http://127.0.0.1:${port}/webhook`);
  const [first, second] = (await modelWith(2)) as [ModelVersionKey, ModelVersionKey];
  const addresses = await followAddresses(namespace);

  for (const key of [first, second]) {
    await registry.setAlias(key, "champion");
    await addresses.untilSame(endpointName(key.model), predictorOf(key), READY_TIMEOUT);
  }
  expect(addresses.gapsOf(endpointName(first.model))).toBe(0);
});
