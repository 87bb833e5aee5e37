import { expect, inject, it } from "vitest";
import { listWebhooks, registerWebhook, removeWebhook } from "../../capabilities/mlflow/webhook-registration";
import { SECRET, startListener, uniqueModel } from "../support/listener-fixture";
import { waitFor } from "../support/waiting";
import { cleanUp, transportTo } from "../support/webhook-modes";

it.each([
  ["deliveries are disabled", { DISABLE_WEBHOOKS: "true" }],
  ["the webhook has no URL any more", {}],
])("takes its own webhook out of MLflow where %s, and nobody else's", async (_why, settings) => {
  const transport = transportTo(inject("mlflowTrackingUri"));
  const name = uniqueModel("leaving");
  const url = "http://127.0.0.1:9/webhook";
  const webhooks = async (): Promise<string[]> =>
    (await listWebhooks(transport))
      .filter(webhook => webhook.name === name)
      .map(({ description }) => /installation=(\S+)/.exec(description)?.[1] ?? "");
  cleanUp.push(async () => {
    for (const webhook of await listWebhooks(transport)) {
      if (webhook.name === name) await removeWebhook(transport, webhook.webhook_id);
    }
  });
  const register = (installation: string): Promise<unknown> =>
    registerWebhook(transport, { name, url, installation, secret: SECRET });
  await register(`${name}-other`);
  await register(`${name}-own`);

  await startListener({ installation: `${name}-own`, settings: { MLFLOW_WEBHOOK_NAME: name, ...settings } });
  const isGone = async (): Promise<true | undefined> => ((await webhooks()).length === 1 ? true : undefined);
  await waitFor("the removal", isGone);
  expect(await webhooks()).toEqual([`${name}-other`]);

  // During a rolling update a pod with the former settings restores it.
  await register(`${name}-own`);
  await waitFor("the second removal", isGone);
  expect(await webhooks()).toEqual([`${name}-other`]);
});
