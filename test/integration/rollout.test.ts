import { afterAll, beforeAll, describe, expect, inject, it, vi } from "vitest";
import defaultTemplate from "../../templates/inference-service.yaml.txt";
import { pollUntil } from "../support/deployed-models";
import { applyAsFormerRelease } from "../support/former-services";
import { startListener, uniqueModel } from "../support/listener-fixture";
import type { RunningListener } from "../support/listener-fixture";
import { listManaged } from "../support/managed-services";
import { openRegistry } from "../support/mlflow-registry";
import { countRequests, followDeployments, untilRolledOut } from "../support/predictor-deployments";
import type { PredictorDeployments } from "../support/predictor-deployments";
import { startTamperingProxy } from "../support/tampering-proxy";
import { waitFor } from "../support/waiting";
import { createNamespace, testKubectl } from "../testbed/namespaces";

// Each step of a rollout waits for KServe, which other tests keep busy.
const TIMEOUT = 240_000;
vi.setConfig({ testTimeout: TIMEOUT + 60_000, hookTimeout: TIMEOUT });

const COUNT = 20;
const SOURCE = "s3://models/x/";
const registry = openRegistry(inject("mlflowTrackingUri"));
const tag = uniqueModel("deploy");

/** The built-in template with further lines in its predictor. */
function templateWith(...lines: string[]): string {
  return defaultTemplate.replace(/^ {2}predictor:\n/m, part => part + lines.map(line => `    ${line}\n`).join(""));
}

describe(`${COUNT} services of the former release`, () => {
  let namespace: string;
  let deployments: PredictorDeployments;
  let initial: RunningListener["services"];

  const listenerWith = (
    settings: Readonly<Record<string, string>>,
    options: Parameters<typeof startListener>[0] = {},
  ): Promise<RunningListener> =>
    startListener({ namespace, ...options, settings: { DEPLOY_TAG_KEY: tag, ...settings } });

  beforeAll(async () => {
    namespace = await createNamespace("rollout");
    const versions = await Promise.all(
      Array.from({ length: COUNT }, async () => {
        const { runId } = await registry.createRun();
        const key = await registry.register(uniqueModel("rollout"), SOURCE, { [tag]: "true" }, runId);
        return { key, runId, storageUri: SOURCE };
      }),
    );
    await applyAsFormerRelease(versions, namespace);
    ({ services: initial } = await startListener({ namespace }));
    await untilRolledOut(initial, COUNT, TIMEOUT);
    deployments = await followDeployments(namespace);
  });
  afterAll(() => {
    deployments.stop();
  });

  it("are left alone by this release, their runs purged or not", async ({ onTestFinished }) => {
    const proxy = await startTamperingProxy(inject("mlflowTrackingUri"));
    onTestFinished(proxy.close);
    proxy.tamper = (path, answer) => {
      const message = { error_code: "RESOURCE_DOES_NOT_EXIST", message: "Run not found" };
      if (path.includes("/runs/get")) Object.assign(answer, { status: 404, body: JSON.stringify(message) });
    };
    const before = [...deployments.replicaSets];
    expect(before).toHaveLength(COUNT);
    const patches = countRequests("PATCH");
    const { listener } = await listenerWith({}, { ...patches, mlflowTrackingUri: proxy.url });

    for (let pass = 0; pass < 3; pass++)
      expect(await listener.poll()).toMatchObject({
        tagged: COUNT,
        managed: COUNT,
        updated: 0,
        outdated: 0,
        failed: 0,
      });

    expect(patches.count()).toBe(0);
    expect([...deployments.replicaSets]).toEqual(before);
  });

  it("are left alone when somebody took bookkeeping off, which has restarted them once", async () => {
    await testKubectl()([
      "annotate",
      "inferenceservices",
      "--all",
      "-n",
      namespace,
      "mlflow.source-",
      "mlflow.run-id-",
    ]);
    await waitFor("the restarts", () => deployments.replicaSets.size === 2 * COUNT || undefined, TIMEOUT);
    await untilRolledOut(initial, COUNT, TIMEOUT);
    const patches = countRequests("PATCH");
    const { listener } = await listenerWith({}, patches);

    for (let pass = 0; pass < 3; pass++) expect(await listener.poll()).toMatchObject({ updated: 0, outdated: 0 });

    expect(patches.count()).toBe(0);
    expect(deployments.replicaSets.size).toBe(2 * COUNT);
  });

  it("are not changed by a dry run of a changed template, which says what would be", async () => {
    const patches = countRequests("PATCH");
    const { listener, logged } = await listenerWith(
      { INFERENCE_SERVICE_TEMPLATE: templateWith("minReplicas: 2"), ROLLOUT_DRY_RUN: "true" },
      patches,
    );

    expect(await listener.poll()).toMatchObject({ updated: 0, outdated: COUNT });

    expect(patches.count()).toBe(0);
    const line = logged.find(({ message }) =>
      message.startsWith(`Dry run of the rollout: ${COUNT} services would change`),
    );
    expect(line?.fields.changes).toEqual([
      expect.objectContaining({ services: COUNT, differences: ["spec.predictor.minReplicas: (none) → 2"] }),
    ]);

    const refused = { INFERENCE_SERVICE_TEMPLATE: templateWith("minReplicas: 3", "maxReplicas: 2") };
    const next = await listenerWith({ ...refused, ROLLOUT_DRY_RUN: "true" }, patches);
    expect(await next.listener.poll()).toMatchObject({ updated: 0, outdated: COUNT, failed: 0 });
    expect(JSON.stringify(next.logged)).toContain("refused: admission webhook");
    expect(patches.count()).toBe(0);
  });

  it("keep serving when the pods of a changed template do not become Ready: it stops after the set number", async () => {
    deployments.countAnew();
    const before = deployments.replicaSets.size;
    const template = templateWith("nodeSelector:", "  kubernetes.io/hostname: no-such-node");
    const running = await listenerWith({
      INFERENCE_SERVICE_TEMPLATE: template,
      ROLLOUT_MAX_UNAVAILABLE: "2",
      ROLLOUT_DEADLINE_MINUTES: "0.2",
    });
    const { listener, logged, services } = running;
    const stopped = (): object | undefined => logged.find(({ message }) => message.startsWith("Rollout stopped"));

    await waitFor("the end of the rollout", async () => (await listener.poll()) && stopped(), TIMEOUT);
    await pollUntil(running, "a poll that changes nothing", ({ updated }) => updated === 0);

    // Where KServe is so late that a service counts as through with it before it has begun, one or two more have their turn.
    const least = COUNT - 4;
    const { outdated } = (stopped() as { fields: { outdated: number } }).fields;
    expect(stopped()).toMatchObject({ level: "error" });
    expect(outdated).toBeGreaterThanOrEqual(least);
    // The watch of them, and KServe's word, may come a moment later on a busy machine.
    await waitFor("the ReplicaSets", () => deployments.replicaSets.size >= before + 2 || undefined);
    expect(deployments.replicaSets.size).toBeLessThanOrEqual(before + COUNT - least);
    expect(deployments.mostUnfinished()).toBeLessThanOrEqual(COUNT - least);
    await waitFor("all Ready", async () => {
      const live = await listManaged(services);
      const isReady = ({ status }: (typeof live)[number]): boolean =>
        status.conditions.some(one => one.type === "Ready" && one.status === "True");
      return live.filter(isReady).length === COUNT || undefined;
    });
    const event = await waitFor("the event", async () => {
      const found = ["get", "events", "-n", namespace, "--field-selector", "reason=RolloutStopped"];
      return (await testKubectl()([...found, "-o", "jsonpath={.items[*].message}"])) || undefined;
    });
    expect(event).toContain("correct the template");
  });

  it("are brought up to date a few at a time when the template is right, and then a minute is quiet", async () => {
    deployments.countAnew();
    const before = deployments.replicaSets.size;
    const patches = countRequests("PATCH");
    const running = await listenerWith(
      { INFERENCE_SERVICE_TEMPLATE: templateWith("labels:", "  team: a"), ROLLOUT_MAX_UNAVAILABLE: "4" },
      patches,
    );

    await pollUntil(running, "the end of the rollout", ({ outdated }) => outdated === 0, TIMEOUT);
    await untilRolledOut(running.services, COUNT, TIMEOUT);
    await waitFor("the end of the polls' waiting", async () => {
      await running.listener.poll();
      return running.logged.some(({ message }) => message.startsWith("Rollout finished")) || undefined;
    });

    expect(deployments.mostUnfinished()).toBeLessThanOrEqual(4);
    expect(deployments.replicaSets.size).toBe(before + COUNT);
    expect(patches.count()).toBe(COUNT);
    for (let pass = 0; pass < 5; pass++)
      expect(await running.listener.poll()).toMatchObject({ updated: 0, outdated: 0 });
    expect(patches.count()).toBe(COUNT);
  });
});
