import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { connectToApiServer } from "../../capabilities/kubernetes/api-server";
import { createInferenceServices } from "../../capabilities/kserve/inference-services";
import type { LiveInferenceService } from "../../capabilities/kserve/live-inference-service";
import type { ModuleAnswer } from "../../capabilities/server/page/wire";
import type { HourSeries } from "../../capabilities/status/published";
import { hireDataScientist } from "../support/data-scientist";
import type { DataScientist } from "../support/data-scientist";
import { kubeConfigFrom } from "../support/kube-config";
import { uniqueModel } from "../support/listener-fixture";
import { listManaged } from "../support/managed-services";
import { startModule } from "../support/module-process";
import type { ModuleProcess } from "../support/module-process";
import type { LogLine } from "../support/replica";
import { waitFor } from "../support/waiting";
import { createNamespace, testKubectl } from "../testbed/namespaces";
import { freePort } from "../testbed/ports";

const SECRET = "only the e2e test knows this";

describe.each([
  { way: "a webhook", webhook: true },
  { way: "the poll alone", webhook: false },
])("by $way, a tag", ({ webhook }) => {
  const tag = uniqueModel("deploy");
  let namespace: string;
  let module: ModuleProcess;
  let scientist: DataScientist;

  beforeAll(async () => {
    namespace = await createNamespace("e2e");
    const port = await freePort();
    [module, scientist] = await Promise.all([
      startModule({
        kubectl: testKubectl(),
        kubeconfig: inject("kubeconfig"),
        logDirectory: inject("logDirectory"),
        port,
        namespace,
        name: tag,
        admission: true,
        settings: {
          MLFLOW_TRACKING_URI: inject("mlflowTrackingUri"),
          STORAGE_URI_BASE: "s3://mlflow",
          DEPLOY_TAG_KEY: tag,
          POLLING_INTERVAL: webhook ? "3600" : "10",
          ...(webhook
            ? {
                MLFLOW_WEBHOOK_SECRET: SECRET,
                MLFLOW_WEBHOOK_URL: `http://127.0.0.1:${port}/webhook`,
                MLFLOW_WEBHOOK_CACHE_TTL: "1",
                MLFLOW_WEBHOOK_NAME: tag,
              }
            : { DISABLE_WEBHOOKS: "true" }),
        },
      }),
      hireDataScientist(inject("python"), inject("mlflowTrackingUri")),
    ]);
    if (webhook) await module.waitForLine("registration", has("Webhook registered and proven"), 60_000);
  }, 180_000);

  afterAll(async () => {
    scientist.stop();
    await module.stop();
  });

  const has =
    (message: string) =>
    ({ msg }: LogLine): boolean =>
      msg === message;
  const find = async (): Promise<LiveInferenceService | undefined> => {
    const apiServer = connectToApiServer(15_000, kubeConfigFrom(inject("kubeconfig")));
    return (await listManaged(createInferenceServices(apiServer, namespace)))[0];
  };

  it("on a model of MLflow 3 makes a Ready InferenceService, and taking the tag away takes it down", async () => {
    const model = uniqueModel("iris");
    const { version, run_id } = await scientist.train(model);

    await scientist.setTag(model, version, tag, "true");

    const ready = await waitFor("Ready=True", async () => {
      const live = await find();
      return live?.status.conditions.some(({ type, status }) => type === "Ready" && status === "True")
        ? live
        : undefined;
    });
    expect(ready.metadata.name).toBe(`mlflow-${model}-v${version}`);
    expect(ready.metadata.annotations).toMatchObject({ "mlflow.model": model, "mlflow.run-id": run_id });
    // The source is models:/m-<id>; MLflow resolved it and the base URI took the place of its artifact proxy.
    expect(ready.metadata.annotations["mlflow.source"]).toMatch(/^models:\/m-/);
    expect(ready.spec).toMatchObject({
      predictor: {
        model: { storageUri: expect.stringMatching(/^s3:\/\/mlflow\/\d+\/models\/m-\w+\/artifacts\/$/) as string },
      },
    });
    await module.waitForLine("the log of it", has("InferenceService is Ready"));
    const delivered = module.logged().some(has("Delivery handled"));
    expect(delivered).toBe(webhook);

    await scientist.deleteTag(model, version, tag);

    await waitFor("the end of the service", async () => ((await find()) === undefined ? true : undefined));
  });

  it("on a version whose service somebody deletes brings it back at once", async () => {
    const model = uniqueModel("kept");
    const { version } = await scientist.register(model, "s3://models/kept");
    await scientist.setTag(model, version, tag, "true");
    const first = await waitFor("the service", find);

    const about = ["inferenceservice", first.metadata.name, "-n", namespace];
    // Admission: what a service is cannot be changed, not even by taking our label away.
    await expect(testKubectl()(["label", ...about, "managed-by-"])).rejects.toThrow(
      "tag another version in MLflow instead",
    );
    // Without waiting: the new one is there so soon that kubectl may miss the end of the old one, and wait for ever.
    await testKubectl()(["delete", "--wait=false", ...about]);

    await waitFor("a new one", async () => {
      const live = await find();
      return live !== undefined && live.metadata.uid !== first.metadata.uid ? live : undefined;
    });
    // By the watch: with the webhook the next poll is an hour away.
    await module.waitForLine("the log of it", has("InferenceService deleted, reconciled"));
    await scientist.deleteTag(model, version, tag);
    await waitFor("the end of the service", async () => ((await find()) === undefined ? true : undefined));
  });

  it("cannot be faked: admission refuses an InferenceService that claims to be ours", async () => {
    const fake = {
      apiVersion: "serving.kserve.io/v1beta1",
      kind: "InferenceService",
      metadata: { name: "fake", namespace, labels: { "managed-by": "mlflow-kserve-webhook-listener" } },
      spec: {
        predictor: { model: { modelFormat: { name: "mlflow" }, protocolVersion: "v2", storageUri: "s3://a/b" } },
      },
    };
    await expect(testKubectl()(["create", "-f", "-"], JSON.stringify(fake))).rejects.toThrow(
      "leave it out, or tag the model version in MLflow",
    );
  });

  it("is on the watcher's page, with how it was delivered to the other process", async () => {
    const look = async (): Promise<ModuleAnswer> =>
      (await (await fetch(`${module.watcherUrl}/page/module`)).json()) as ModuleAnswer;
    const { items } = await look();
    expect(items.find(({ name }) => name === "Webhook")).toEqual({
      name: "Webhook",
      health: "good",
      value: expect.stringMatching(webhook ? /^webhook: [^()]*$/ : /^polling: /) as string,
    });

    const counted = (series: readonly HourSeries[], wanted: string): readonly number[] =>
      (series.find(({ name }) => name === wanted)?.values ?? []).filter(value => Number.isFinite(value) && value > 0);
    // The minute in which they came has to end.
    const { deliveries, deliverySeconds } = await waitFor("a minute with deliveries", async () => {
      const view = await look();
      const isThere = webhook ? counted(view.deliveries, "success").length > 0 : view.deliveries.length > 0;
      return isThere ? view : undefined;
    });
    expect(deliveries.map(({ name }) => name)).toEqual(["success", "ignored", "refused", "rejected", "error"]);
    expect(counted(deliverySeconds, "median").length > 0).toBe(webhook);
  });

  it("leaves no secret in the log", () => {
    const logged = JSON.stringify(module.logged());
    expect(logged).toContain("Endpoint is listening");
    expect(logged).not.toContain(SECRET);
  });
});
