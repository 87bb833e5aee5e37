import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { hireDataScientist } from "../support/data-scientist";
import type { DataScientist } from "../support/data-scientist";
import { nameOf } from "../support/deployed-models";
import { uniqueModel } from "../support/listener-fixture";
import { openRegistry } from "../support/mlflow-registry";
import { installPeprStore } from "../support/pepr-store";
import { followReady } from "../support/ready-services";
import { createReplica } from "../support/replica";
import type { Replica } from "../support/replica";
import { createNamespace, testKubectl } from "../testbed/namespaces";
import { findPredictions, runPredictorsIn } from "../testbed/predictions";

/** Milliseconds for a download and the start of a model server, on a machine that is busy with other tests. */
const LOAD_TIMEOUT = 240_000;
const TEST_TIMEOUT = 600_000;

describe("A model with real predictors that changes hands", () => {
  const tag = uniqueModel("deploy");
  const registry = openRegistry(inject("mlflowTrackingUri"));
  let namespace: string;
  let module: Replica;
  let scientist: DataScientist;

  beforeAll(async () => {
    const kubectl = testKubectl();
    const predictions = await findPredictions(kubectl);
    if (!predictions) throw new Error("This cluster and its MLflow are not the testbed's: nothing runs the models.");
    namespace = await createNamespace("handover");
    await Promise.all([
      runPredictorsIn(namespace, predictions, kubectl),
      installPeprStore(kubectl, inject("kubeconfig")),
    ]);
    module = await createReplica({
      name: `handover-${namespace}`,
      role: "watcher",
      kubeconfig: inject("kubeconfig"),
      logDirectory: inject("logDirectory"),
      settings: {
        MLFLOW_TRACKING_URI: inject("mlflowTrackingUri"),
        KUBE_NAMESPACE: namespace,
        STORAGE_URI_BASE: "s3://mlflow",
        DEPLOY_TAG_KEY: tag,
        DISABLE_WEBHOOKS: "true",
        POLLING_INTERVAL: "10",
      },
    });
    [scientist] = await Promise.all([hireDataScientist(inject("python"), inject("mlflowTrackingUri")), module.start()]);
  }, LOAD_TIMEOUT);

  afterAll(async () => {
    scientist.stop();
    await module.terminate();
  });

  it.each([
    {
      what: "by its next version, tagged while the old one is untagged",
      change: async (model: string) => {
        const { version } = await scientist.train(model);
        await Promise.all([
          scientist.setTag(model, version, tag, "true"),
          registry.deleteTag({ model, version: "1" }, tag),
        ]);
        return { model, version };
      },
    },
    {
      what: "by another name",
      change: async (model: string) => {
        const renamed = `${model}-renamed`;
        await registry.renameModel(model, renamed);
        return { model: renamed, version: "1" };
      },
    },
  ])(
    "$what is served throughout",
    async ({ what, change }) => {
      const model = uniqueModel("hands");
      const { version } = await scientist.train(model);
      await scientist.setTag(model, version, tag, "true");
      const served = await followReady(namespace, name => name.startsWith(`mlflow-${model}`));
      await served.until(nameOf({ model, version }), LOAD_TIMEOUT);

      const start = performance.now();
      const next = nameOf(await change(model));
      await served.until(next, LOAD_TIMEOUT);
      const startedAfter = (performance.now() - start) / 1000;
      await served.onlyOneLeft(next, LOAD_TIMEOUT);

      const without = served.secondsWithout();
      console.log(
        `A model that changes hands ${what}: the new one Ready after ${startedAfter.toFixed(1)} s, ${without.toFixed(1)} s without a Ready version`,
      );
      expect(without).toBe(0);
    },
    TEST_TIMEOUT,
  );
});
