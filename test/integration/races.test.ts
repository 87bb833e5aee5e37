import { describe, expect, inject, it } from "vitest";
import type { ApiServer } from "../../capabilities/kubernetes/api-server";
import type { ModelVersionKey } from "../../capabilities/support/model-version-key";
import { startListener, uniqueModel } from "../support/listener-fixture";
import { openRegistry } from "../support/mlflow-registry";
import { waitFor } from "../support/waiting";
import { testKubectl } from "../testbed/namespaces";

const registry = openRegistry(inject("mlflowTrackingUri"));

/** Lets something happen right before, or right after, the first request with this method reaches the real API server. */
function interrupt(
  method: "PATCH" | "DELETE",
  happening: { before?: () => Promise<void>; after?: () => Promise<void> },
): (apiServer: ApiServer) => ApiServer {
  let done = false;
  return apiServer => async request => {
    const now = request.method === method && !done;
    if (now) done = true;
    if (now) await happening.before?.();
    const answer = await apiServer(request);
    if (now) await happening.after?.();
    return answer;
  };
}

/** A tagged version with its InferenceService, by a listener that has nothing more to do. */
async function deployVersion(): Promise<{ key: ModelVersionKey; name: string; namespace: string }> {
  const key = await registry.register(uniqueModel("raced"), "s3://models/x", { deploy: "true" });
  const { deliver, listener, namespace } = await startListener();
  await deliver(key);
  await listener.idle();
  return { key, name: `mlflow-${key.model}-v1`, namespace };
}

describe("what happens between the look at MLflow and the act", () => {
  it("a tag removed just before the Apply: the second look takes the service down", async () => {
    const key = await registry.register(uniqueModel("raced"), "s3://models/x", { deploy: "true" });
    const { deliver, deployed, listener } = await startListener({
      wrapApiServer: interrupt("PATCH", { before: () => registry.deleteTag(key, "deploy") }),
    });

    expect((await deliver(key)).body).toMatchObject({ action: "created" });
    await listener.idle();

    expect(await deployed()).toEqual([]);
  });

  it("a tag set just before the Delete: the second look brings the service back", async () => {
    const key = await registry.register(uniqueModel("raced"), "s3://models/x", { deploy: "true" });
    const { deliver, deployed, listener } = await startListener({
      wrapApiServer: interrupt("DELETE", { before: () => registry.setTag(key, "deploy", "true") }),
    });
    await deliver(key);
    await listener.idle();
    await registry.setTag(key, "deploy", "no");

    // "deleted", and then made again; or not deleted at all, where KServe's controller made the first Delete a conflict.
    expect((await deliver(key)).status).toBe(200);
    await listener.idle();

    expect(await deployed()).toEqual([`mlflow-${key.model}-v1`]);
  });

  it("a foreign object made just before the Apply that would create: it stays as it is", async () => {
    const key = await registry.register(uniqueModel("raced"), "s3://models/x", { deploy: "true" });
    const spec = { predictor: { model: { modelFormat: { name: "sklearn" }, storageUri: "s3://somebody/else" } } };
    const running = await startListener({
      wrapApiServer: interrupt("PATCH", {
        before: async () => {
          const { namespace } = running;
          const metadata = { name: `mlflow-${key.model}-v1`, namespace };
          const foreign = { apiVersion: "serving.kserve.io/v1beta1", kind: "InferenceService", metadata, spec };
          await testKubectl()(["create", "-f", "-"], JSON.stringify(foreign));
        },
      }),
    });

    expect(await running.deliver(key)).toMatchObject({ status: 409 });

    const live = await running.services.get(`mlflow-${key.model}-v1`);
    expect(live?.spec).toMatchObject(spec);
    expect(live?.metadata.labels).toEqual({});
  });

  it("a foreign object without a field that ours sets otherwise: what the Apply put into it is taken back", async () => {
    const key = await registry.register(uniqueModel("raced"), "s3://models/x", { deploy: "true" });
    const name = `mlflow-${key.model}-v1`;
    const spec = { predictor: { model: { modelFormat: { name: "mlflow" }, storageUri: "s3://models/x" } } };
    const annotations = { owner: "somebody else" };
    const running = await startListener({
      wrapApiServer: interrupt("PATCH", {
        before: async () => {
          const metadata = { name, namespace: running.namespace, annotations };
          const foreign = { apiVersion: "serving.kserve.io/v1beta1", kind: "InferenceService", metadata, spec };
          await testKubectl()(["create", "-f", "-"], JSON.stringify(foreign));
        },
      }),
    });

    expect(await running.deliver(key)).toMatchObject({ status: 409 });

    const live = await running.services.get(name);
    expect(live?.metadata).toMatchObject({ labels: {}, annotations });
    expect(Object.keys(live?.metadata.annotations ?? {}).filter(one => one.startsWith("mlflow."))).toEqual([]);
    expect(live?.spec).toMatchObject(spec);
    expect(live?.metadata.managedFields.map(({ manager }) => manager)).not.toContain("mlflow-kserve-webhook-listener");
  });

  it("our object replaced by a foreign one just before the Apply: the foreign one stays as it is", async () => {
    const { key, name, namespace } = await deployVersion();
    const spec = { predictor: { model: { modelFormat: { name: "sklearn" }, storageUri: "s3://somebody/else" } } };
    const second = await startListener({
      namespace,
      wrapApiServer: interrupt("PATCH", {
        before: async () => {
          await testKubectl()(["delete", "inferenceservice", name, "-n", namespace]);
          const metadata = { name, namespace };
          const foreign = { apiVersion: "serving.kserve.io/v1beta1", kind: "InferenceService", metadata, spec };
          await testKubectl()(["create", "-f", "-"], JSON.stringify(foreign));
        },
      }),
    });

    expect(await second.deliver(key)).toMatchObject({ status: 409 });

    expect((await second.services.get(name))?.spec).toMatchObject(spec);
  });

  it("our object taken over just before the Apply: it is not taken back", async () => {
    const { key, name, namespace } = await deployVersion();
    const second = await startListener({
      namespace,
      wrapApiServer: interrupt("PATCH", {
        before: async () => {
          const theirs = {
            metadata: { labels: { "managed-by": null } },
            spec: { predictor: { model: { storageUri: "s3://somebody/else" } } },
          };
          const patch = ["patch", "inferenceservice", name, "-n", namespace, "--type=merge", "-p"];
          await testKubectl()([...patch, JSON.stringify(theirs)]);
        },
      }),
    });

    expect(await second.deliver(key)).toMatchObject({ status: 409 });

    const live = await second.services.get(name);
    expect(live?.metadata.labels).not.toHaveProperty("managed-by");
    expect(live?.spec).toMatchObject({ predictor: { model: { storageUri: "s3://somebody/else" } } });
  });

  it("our object changed just before the Delete: it is read again, and deleted", async () => {
    const key = await registry.register(uniqueModel("raced"), "s3://models/x", { deploy: "true" });
    const running = await startListener({
      wrapApiServer: interrupt("DELETE", {
        before: async () => {
          const patch = [
            "annotate",
            "inferenceservice",
            `mlflow-${key.model}-v1`,
            "-n",
            running.namespace,
            "touched=yes",
          ];
          await testKubectl()(patch);
        },
      }),
    });
    await running.deliver(key);
    await running.listener.idle();
    await registry.deleteTag(key, "deploy");

    expect((await running.deliver(key, "deleted")).body).toMatchObject({ action: "deleted" });
    expect(await running.deployed()).toEqual([]);
  });

  it("a tag set again while the old service is still being deleted: a new one is made", async () => {
    const key = await registry.register(uniqueModel("again"), "s3://models/x", { deploy: "true" });
    const { deliver, services, listener } = await startListener();
    await deliver(key);
    await listener.idle();
    const first = await services.get(`mlflow-${key.model}-v1`);
    await registry.deleteTag(key, "deploy");
    await deliver(key, "deleted");

    await registry.setTag(key, "deploy", "true");
    expect((await deliver(key)).status).toBe(200);

    const second = await waitFor("the new service", async () => {
      const live = await services.get(`mlflow-${key.model}-v1`);
      return live?.metadata.deletionTimestamp === undefined ? live : undefined;
    });
    expect(second.metadata.uid).not.toBe(first?.metadata.uid);
  });

  it("several modules at once, told about the same tags: one result", async () => {
    const first = await startListener();
    const others = await Promise.all([1, 2].map(() => startListener({ namespace: first.namespace })));
    const modules = [first, ...others];
    const keys = await Promise.all(
      Array.from({ length: 6 }, () => registry.register(uniqueModel("many"), "s3://models/x", { deploy: "true" })),
    );
    const deliverAll = async (): Promise<number[]> =>
      await Promise.all(keys.flatMap(key => modules.map(async ({ deliver }) => (await deliver(key)).status)));

    expect(new Set(await deliverAll())).toEqual(new Set([200]));
    await Promise.all(keys.slice(0, 3).map(key => registry.deleteTag(key, "deploy")));
    expect(new Set(await deliverAll())).toEqual(new Set([200]));
    await Promise.all(modules.map(({ listener }) => listener.idle()));

    expect((await first.deployed()).sort()).toEqual(
      keys
        .slice(3)
        .map(({ model }) => `mlflow-${model}-v1`)
        .sort(),
    );
  });
});
