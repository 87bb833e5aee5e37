import { afterEach, describe, expect, inject, it } from "vitest";
import { inferenceServiceName } from "../../capabilities/kserve/names";
import { startListener, uniqueModel } from "../support/listener-fixture";
import type { RunningListener } from "../support/listener-fixture";
import { startMlflowWithAccounts } from "../support/mlflow-accounts";
import { openRegistry } from "../support/mlflow-registry";

const cleanUp: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const clean of cleanUp.splice(0)) await clean();
});

describe("an account that may read the registry and no experiment", () => {
  const TEMPLATE = `
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  annotations: {experiment: "of {{experiment_id}}"}
spec:
  predictor:
    model: {modelFormat: {name: mlflow}, protocolVersion: v2, storageUri: "{{storage_uri}}"}
`;

  it("deploys with an empty experiment id, and what was once known stays", async () => {
    const mlflow = await startMlflowWithAccounts({
      python: inject("python"),
      logDirectory: inject("logDirectory"),
      workers: 1,
    });
    cleanUp.push(mlflow.stop);
    const registry = openRegistry(mlflow.administratorUri);
    const { experimentId, runId } = await registry.createRun();
    const [first, second] = [
      await registry.register(uniqueModel("first"), undefined, { deploy: "true" }, runId),
      await registry.register(uniqueModel("second"), undefined, { deploy: "true" }, runId),
    ] as const;
    for (const { model } of [first, second]) await mlflow.grantReading("registered_model", model);
    const start = (namespace?: string): Promise<RunningListener> =>
      startListener({
        mlflowTrackingUri: mlflow.readerUri,
        settings: { INFERENCE_SERVICE_TEMPLATE: TEMPLATE },
        ...(namespace === undefined ? {} : { namespace }),
      });
    const experimentOf = async ({ services, namespace }: RunningListener, key: typeof first): Promise<unknown> =>
      (await services.get(inferenceServiceName(key, namespace)))?.metadata.annotations.experiment;

    const refused = await start();
    const { namespace } = refused;
    expect(await refused.deliver(first)).toMatchObject({ status: 200 });
    expect(await experimentOf(refused, first)).toBe("of ");
    expect(refused.logged).toContainEqual(
      expect.objectContaining({ level: "warn", fields: expect.objectContaining({ run_id: runId }) as unknown }),
    );

    // A new process each time: one that could not read a run asks again only minutes later.
    await mlflow.grantReading("experiment", experimentId);
    const allowed = await start(namespace);
    expect(await allowed.deliver(second)).toMatchObject({ status: 200 });
    expect(await experimentOf(allowed, second)).toBe(`of ${experimentId}`);

    await mlflow.revokeReading("experiment", experimentId);
    const later = await start(namespace);
    expect(await later.listener.poll()).toMatchObject({ tagged: 2, managed: 2, created: 0, updated: 0, failed: 0 });
    expect(await experimentOf(later, second)).toBe(`of ${experimentId}`);
  }, 240_000);
});

describe("a version whose source is a version of another model", () => {
  it("is served from its new artifacts when both were deleted and made again", async () => {
    const registry = openRegistry(inject("mlflowTrackingUri"));
    const tag = uniqueModel("deploy");
    const [staging, production] = [uniqueModel("stg"), uniqueModel("prod")];
    const make = async (artifacts: string): Promise<void> => {
      await registry.register(staging, artifacts);
      await registry.register(production, `models:/${staging}/1`, { [tag]: "true" });
    };
    await make("s3://models/one");
    const { listener, services, namespace } = await startListener({ settings: { DEPLOY_TAG_KEY: tag } });
    const name = inferenceServiceName({ model: production, version: "1" }, namespace);
    const storageUri = async (): Promise<unknown> => (await services.get(name))?.spec;
    expect(await listener.poll()).toMatchObject({ created: 1 });
    expect(await storageUri()).toMatchObject({ predictor: { model: { storageUri: "s3://models/one/" } } });

    // Else its second look might find what is made now.
    await listener.idle();
    for (const model of [production, staging]) await registry.deleteModel(model);
    await make("s3://models/two");
    expect(await listener.poll()).toMatchObject({ tagged: 1, managed: 1, created: 0, updated: 1, deleted: 0 });
    expect(await storageUri()).toMatchObject({ predictor: { model: { storageUri: "s3://models/two/" } } });
  });
});
