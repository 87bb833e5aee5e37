import { describe, expect, it, vi } from "vitest";
import defaultTemplate from "../../templates/inference-service.yaml.txt";
import { deployModels, pollUntil } from "../support/deployed-models";
import { startListener } from "../support/listener-fixture";
import { listManaged } from "../support/managed-services";
import { countRequests, followDeployments, untilRolledOut } from "../support/predictor-deployments";

// KServe may be busy with what other tests have deployed.
const TIMEOUT = 240_000;
vi.setConfig({ testTimeout: TIMEOUT + 60_000 });

const COUNT = 6;

/** KServe's admission makes `Standard` of it. */
const RAW = defaultTemplate.replace(
  "  namespace: {{namespace}}\n",
  "  namespace: {{namespace}}\n  annotations:\n    serving.kserve.io/deploymentMode: RawDeployment\n",
);

/** KServe's admission makes `model` of it, with the format. */
const SKLEARN = `apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: {{name}}
  namespace: {{namespace}}
spec:
  predictor:
    sklearn:
      protocolVersion: v2
      storageUri: {{storage_uri}}
      env:
        - name: OF_THE_FORMER_TEMPLATE
          value: "true"
`;

const MODEL = `apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: {{name}}
  namespace: {{namespace}}
spec:
  predictor:
    model:
      modelFormat:
        name: mlflow
      storageUri: {{storage_uri}}
`;

describe("services whose template admission rewrites", () => {
  it.each([
    ["deploymentMode: RawDeployment", RAW],
    ["predictor.sklearn", SKLEARN],
  ])("with %s are not written again by a poll, of this process or the next", async (_, template) => {
    const patches = countRequests("PATCH");
    const settings = { INFERENCE_SERVICE_TEMPLATE: template };
    const { rightful, tag, namespace } = await deployModels(COUNT, settings, patches);
    await untilRolledOut(rightful.services, COUNT, TIMEOUT);
    expect(patches.count()).toBe(COUNT);

    for (let pass = 0; pass < 5; pass++)
      expect(await rightful.listener.poll()).toMatchObject({ updated: 0, failed: 0 });
    expect(patches.count()).toBe(COUNT);

    const dry = await startListener({
      namespace,
      settings: { DEPLOY_TAG_KEY: tag, ...settings, ROLLOUT_DRY_RUN: "true" },
    });
    expect(await dry.listener.poll()).toMatchObject({ updated: 0, outdated: 0, failed: 0 });
    await dry.listener.stop();

    // A new process does not know what its predecessor's Applies returned: it makes them once, and nothing changes.
    const before = (await listManaged(rightful.services)).map(({ metadata }) => metadata.resourceVersion);
    const again = countRequests("PATCH");
    const next = await startListener({ ...again, namespace, settings: { DEPLOY_TAG_KEY: tag, ...settings } });
    expect(await next.listener.poll()).toMatchObject({ updated: 0, failed: 0 });
    expect(again.count()).toBeLessThanOrEqual(COUNT);
    const sent = again.count();
    for (let pass = 0; pass < 5; pass++) expect(await next.listener.poll()).toMatchObject({ updated: 0, outdated: 0 });
    expect(again.count()).toBe(sent);
    const after = (await listManaged(rightful.services)).map(({ metadata }) => metadata.resourceVersion);
    expect(after).toEqual(before);
  });

  it("are brought up to date a few at a time by a new process with another template", async ({ onTestFinished }) => {
    const { rightful, tag, namespace } = await deployModels(COUNT, { INFERENCE_SERVICE_TEMPLATE: RAW });
    await untilRolledOut(rightful.services, COUNT, TIMEOUT);
    const deployments = await followDeployments(namespace);
    onTestFinished(deployments.stop);
    const template = RAW.replace("  predictor:\n", "  predictor:\n    labels:\n      team: a\n");

    const settings = { DEPLOY_TAG_KEY: tag, INFERENCE_SERVICE_TEMPLATE: template, ROLLOUT_MAX_UNAVAILABLE: "3" };
    const next = await startListener({ namespace, settings });
    expect(await next.listener.poll()).toMatchObject({ updated: 3, outdated: 3 });
    await pollUntil(next, "the end of the rollout", ({ outdated }) => outdated === 0, TIMEOUT);
    await untilRolledOut(next.services, COUNT, TIMEOUT);

    expect(deployments.mostUnfinished()).toBeLessThanOrEqual(3);
  });

  it("keep nothing of what admission made of predictor.sklearn when the template has predictor.model", async () => {
    const { rightful, tag, namespace } = await deployModels(2, { INFERENCE_SERVICE_TEMPLATE: SKLEARN });
    await untilRolledOut(rightful.services, 2, TIMEOUT);

    const settings = { DEPLOY_TAG_KEY: tag, INFERENCE_SERVICE_TEMPLATE: MODEL };
    const next = await startListener({ namespace, settings });
    expect(await next.listener.poll()).toMatchObject({ updated: 2, failed: 0 });

    for (const { spec } of await listManaged(next.services)) {
      const { predictor } = spec as { predictor: { sklearn?: unknown; model: Record<string, unknown> } };
      expect(predictor.sklearn).toBeUndefined();
      expect(predictor.model.modelFormat).toEqual({ name: "mlflow" });
      // KServe's own default for MLflow's format; the former template's was v2 as well, and its env is gone.
      expect(JSON.stringify(predictor)).not.toContain("OF_THE_FORMER_TEMPLATE");
    }
    expect(await next.listener.poll()).toMatchObject({ updated: 0, outdated: 0, failed: 0 });
  });
});
