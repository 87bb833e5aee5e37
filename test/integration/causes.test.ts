import { setTimeout as sleep } from "node:timers/promises";
import { expect, inject, it, vi } from "vitest";
import defaultTemplate from "../../templates/inference-service.yaml.txt";
import { nameOf } from "../support/deployed-models";
import { followObjects } from "../support/followed-objects";
import { startListener, uniqueModel } from "../support/listener-fixture";
import type { RunningListener } from "../support/listener-fixture";
import { openRegistry } from "../support/mlflow-registry";
import { untilRolledOut } from "../support/predictor-deployments";
import { waitFor } from "../support/waiting";
import { createNamespace, testKubectl } from "../testbed/namespaces";

const TIMEOUT = 180_000;
vi.setConfig({ testTimeout: TIMEOUT + 60_000 });

const registry = openRegistry(inject("mlflowTrackingUri"));
const kubectl = testKubectl();
const UNKNOWN_FORMAT = defaultTemplate.replace("name: mlflow", "name: no-such-format");

/** Tells the module's observer of all that happens to the services, as Pepr's watch does. */
async function watch({ listener, namespace }: RunningListener): Promise<() => void> {
  const path = `/apis/serving.kserve.io/v1beta1/namespaces/${namespace}/inferenceservices`;
  const { stop } = await followObjects(inject("kubeconfig"), path, objects => {
    for (const object of objects.values()) listener.observer.changed(object);
  });
  return stop;
}

async function listed({ url }: RunningListener, name: string): Promise<{ status?: string; message?: string }> {
  const { services } = (await (await fetch(`${url}/services`)).json()) as {
    services: readonly { name: string; status?: string; message?: string }[];
  };
  return services.find(service => service.name === name) ?? {};
}

async function eventOf({ namespace }: RunningListener, reason: string): Promise<string> {
  return await waitFor(`the Event ${reason}`, async () => {
    const found = ["get", "events", "-n", namespace, "--field-selector", `reason=${reason}`];
    return (await kubectl([...found, "-o", "jsonpath={.items[*].message}"])) || undefined;
  });
}

it.each([
  {
    what: "KServe has no runtime for its format",
    settings: { INFERENCE_SERVICE_TEMPLATE: UNKNOWN_FORMAT },
    prepare: undefined,
    reason: "NoRuntime",
    cause: /^KServe has no serving runtime for it \(NoSupportingRuntime: .*model format no-such-format.*\): install /,
  },
  {
    what: "Pod Security refuses its pods",
    settings: {},
    prepare: (namespace: string) => ["label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted"],
    reason: "PodsRefused",
    cause: /they violate the Pod Security level restricted:latest of the namespace .*: give the template/,
  },
  {
    what: "a quota leaves no room for its pods",
    settings: {},
    prepare: (namespace: string) => ["create", "quota", "none", "-n", namespace, "--hard=pods=0"],
    reason: "PodsRefused",
    cause: /a quota of the namespace .* is exceeded \(none, requested: pods=1, .*\): raise the ResourceQuota/,
  },
])("a service is told to be not Ready because $what", async ({ settings, prepare, reason, cause }) => {
  const namespace = await createNamespace("causes");
  if (prepare !== undefined) await kubectl(prepare(namespace));
  const tag = uniqueModel("deploy");
  const running = await startListener({ namespace, settings: { DEPLOY_TAG_KEY: tag, ...settings } });
  const stop = await watch(running);
  const key = await registry.register(uniqueModel("caused"), "s3://models/x", { [tag]: "true" });

  expect(await running.listener.poll()).toMatchObject({ created: 1 });

  const name = nameOf(key);
  const service = await waitFor("the cause", async () => {
    const found = await listed(running, name);
    return cause.test(found.message ?? "") ? found : undefined;
  });
  stop();
  expect(service).toMatchObject({ status: "Failed", message: expect.not.stringContaining("kubectl logs") as string });
  expect(await eventOf(running, reason)).toContain(service.message);
  expect(running.logged).toContainEqual(
    expect.objectContaining({
      level: "error",
      message: "InferenceService cannot become Ready",
      fields: expect.objectContaining({ inference_service: name, cause: service.message }) as unknown,
    }),
  );
});

it("a rollout of a template that KServe can make nothing of stops with the cause, and what serves goes on", async () => {
  const count = 3;
  const tag = uniqueModel("deploy");
  const namespace = await createNamespace("causes");
  for (let made = 0; made < count; made++)
    await registry.register(uniqueModel("rolled"), "s3://models/x", { [tag]: "true" });
  const before = await startListener({ namespace, settings: { DEPLOY_TAG_KEY: tag } });
  await before.listener.poll();
  await untilRolledOut(before.services, count, TIMEOUT);
  await before.listener.stop();
  // One that is changed within two seconds of its creation is taken for new, and nobody waits for it.
  await sleep(3_000);
  const settings = {
    DEPLOY_TAG_KEY: tag,
    INFERENCE_SERVICE_TEMPLATE: UNKNOWN_FORMAT,
    ROLLOUT_MAX_UNAVAILABLE: "1",
    ROLLOUT_DEADLINE_MINUTES: "0.1",
  };
  const { listener, logged } = await startListener({ namespace, settings });

  const stopped = await waitFor(
    "the end of the rollout",
    async () => (await listener.poll()) && logged.find(({ message }) => message.startsWith("Rollout stopped")),
    TIMEOUT,
  );

  expect(stopped.message).toContain("KServe has no serving runtime for it (NoSupportingRuntime");
  expect(await listener.poll()).toMatchObject({ updated: 0, outdated: count - 1 });
});

it("a deletion that a finalizer holds is told with its name, in the list and in an Event", async () => {
  const tag = uniqueModel("deploy");
  const running = await startListener({ settings: { DEPLOY_TAG_KEY: tag } });
  const key = await registry.register(uniqueModel("held"), "s3://models/x", { [tag]: "true" });
  expect(await running.deliver(key)).toMatchObject({ status: 200 });
  const object = ["inferenceservice", nameOf(key), "-n", running.namespace];
  const hold = (finalizers: string[]): Promise<string> =>
    kubectl(["patch", ...object, "--type=merge", "-p", JSON.stringify({ metadata: { finalizers } })]);
  await hold(["example.com/backup"]);

  // Or the second look would see the tag go, and be first.
  await running.listener.idle();
  await registry.deleteTag(key, tag);
  expect(await running.deliver(key, "deleted")).toMatchObject({ body: { action: "deleted" } });
  for (let poll = 0; poll < 2; poll++) await running.listener.poll();

  expect(await listed(running, nameOf(key))).toMatchObject({
    status: "Stopping",
    message: expect.stringMatching(/^It waits for example.com\/backup/) as string,
  });
  expect(await eventOf(running, "DeletionStuck")).toMatch(
    /^1 services are still being deleted: .*Held by the finalizers example.com\/backup/,
  );
  await hold([]);
});
