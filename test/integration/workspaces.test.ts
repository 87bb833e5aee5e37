import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { MlflowTransport } from "../../capabilities/mlflow/transport";
import { startListener, uniqueModel } from "../support/listener-fixture";
import { startMlflowWithWorkspaces } from "../support/mlflow-workspaces";
import { waitFor } from "../support/waiting";
import { keep, startMlflowForTest } from "../support/webhook-modes";

/** Milliseconds after which the testbed's MLflow reads its list of webhooks anew. */
const CACHED = 1_500;

/** Registers version 1 of a model. */
async function register(call: MlflowTransport, name: string): Promise<void> {
  await call({ method: "POST", path: "registered-models/create", body: { name } });
  await call({ method: "POST", path: "model-versions/create", body: { name, source: "s3://models/x" } });
}

const setTag = (call: MlflowTransport, name: string, key: string): Promise<unknown> =>
  call({ method: "POST", path: "model-versions/set-tag", body: { name, version: "1", key, value: "true" } });

describe("an MLflow with workspaces", () => {
  it("has the versions of one workspace served, whatever the others call theirs", async () => {
    const { trackingUri, inWorkspace } = await startMlflowWithWorkspaces();
    const tag = `deploy-${randomUUID().slice(0, 8)}`;
    const running = await startListener({
      mlflowTrackingUri: trackingUri,
      mlflowVariables: { MLFLOW_WORKSPACE: "team-a" },
      settings: { DEPLOY_TAG_KEY: tag },
    });
    const [model, theirs] = [uniqueModel("shared-name"), uniqueModel("theirs")];
    for (const workspace of ["team-a", "team-b"]) await register(inWorkspace(workspace), model);
    await register(inWorkspace("team-b"), theirs);
    await keep({
      transport: inWorkspace("team-a"),
      name: tag,
      url: `${running.url}/webhook`,
      startupTimeout: 60,
    }).reaches("webhook");
    await sleep(CACHED);

    // Only the other workspace's version of the name is tagged: there is nothing to serve, by poll or delivery.
    await setTag(inWorkspace("team-b"), model, tag);
    await setTag(inWorkspace("team-b"), theirs, tag);
    expect(await running.listener.poll()).toMatchObject({ tagged: 0 });
    const event = { entity: "model_version_tag", action: "set", timestamp: new Date().toISOString() };
    const data = { name: theirs, version: "1", key: tag, value: "true" };
    expect(await running.send(JSON.stringify({ ...event, workspace: "team-b", data }))).toMatchObject({
      status: 200,
      body: { action: "ignored", message: "it is about MLflow's workspace team-b, not team-a" },
    });
    expect(await running.deployed()).toEqual([]);

    // MLflow keeps one list of webhooks an event, whichever workspace asked for it first: now it is the other's, without ours.
    await sleep(CACHED);
    await setTag(inWorkspace("team-a"), model, tag);
    await waitFor("the service", async () => ((await running.deployed()).length === 1 ? true : undefined));
    expect(await running.deployed()).toEqual([`mlflow-${model}-v1`]);
  });

  it("whose workspace is gone, or that has none, takes nothing down and is named with the cure", async () => {
    const { trackingUri, inWorkspace } = await startMlflowWithWorkspaces();
    const tag = `deploy-${randomUUID().slice(0, 8)}`;
    const model = uniqueModel("left");
    await register(inWorkspace("team-a"), model);
    await setTag(inWorkspace("team-a"), model, tag);
    const started = async (workspace: string, namespace?: string): ReturnType<typeof startListener> =>
      startListener({
        mlflowTrackingUri: trackingUri,
        ...(namespace === undefined ? {} : { namespace }),
        mlflowVariables: { MLFLOW_WORKSPACE: workspace },
        settings: { DEPLOY_TAG_KEY: tag },
      });
    const first = await started("team-a");
    expect(await first.listener.poll()).toMatchObject({ created: 1 });

    const lost = await started("team-c", first.namespace);
    const answer = await lost.deliver({ model, version: "1" }, "deleted");
    expect([answer.status, answer.body.message]).toEqual([
      502,
      expect.stringContaining("create the workspace in MLflow, or correct MLFLOW_WORKSPACE"),
    ]);
    expect(await lost.listener.poll()).toBeUndefined();
    expect(await lost.deployed()).toHaveLength(1);

    const { trackingUri: without } = await startMlflowForTest();
    const misled = await startListener({
      mlflowTrackingUri: without,
      mlflowVariables: { MLFLOW_WORKSPACE: "team-a" },
    });
    const refused = await misled.deliver({ model, version: "1" });
    expect(refused.body.message).toContain("this MLflow has no workspaces: start it with --enable-workspaces");
  });
});
