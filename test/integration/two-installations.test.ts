import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, inject, it } from "vitest";
import type { MlflowCall, MlflowTransport } from "../../capabilities/mlflow/transport";
import { listWebhooks, removeWebhook } from "../../capabilities/mlflow/webhook-registration";
import { startListener, uniqueModel } from "../support/listener-fixture";
import { openRegistry } from "../support/mlflow-registry";
import { waitFor } from "../support/waiting";
import { cleanUp, keep, transportTo, untilNoticed } from "../support/webhook-modes";

/** Seconds for which both look after their webhooks, every half second; as many checks as some minutes have usually. */
const DURATION = Number(process.env.TWO_INSTALLATIONS_SECONDS ?? "10");

it(
  "two installations of one name share an MLflow: none touches the other's webhook, every tag arrives at both",
  async () => {
    const mlflowTrackingUri = inject("mlflowTrackingUri");
    const transport = transportTo(mlflowTrackingUri);
    const name = uniqueModel("shared");
    cleanUp.push(async () => {
      for (const webhook of await listWebhooks(transport)) {
        if (webhook.name === name) await removeWebhook(transport, webhook.webhook_id);
      }
    });
    const settings = { DEPLOY_TAG_KEY: `deploy-${randomUUID().slice(0, 8)}` };
    const changes: MlflowCall[] = [];
    const recording: MlflowTransport = call => {
      if (call.method !== "GET" && !call.path.endsWith("/test")) changes.push(call);
      return transport(call);
    };
    const [one, other] = await Promise.all([1, 2].map(() => startListener({ mlflowTrackingUri, settings })));
    const listeners = [one, other].filter(listener => listener !== undefined);
    const kept = listeners.map(({ url, namespace }) =>
      keep({ transport: recording, name, url: `${url}/webhook`, installation: namespace, startupTimeout: 60 }),
    );
    await Promise.all(kept.map(({ reaches }) => reaches("webhook")));
    await untilNoticed();

    const registry = openRegistry(mlflowTrackingUri);
    const model = uniqueModel("both");
    const end = Date.now() + DURATION * 1000;
    const wanted: string[] = [];
    do {
      const key = await registry.register(model);
      await registry.setTag(key, settings.DEPLOY_TAG_KEY, "true");
      wanted.push(`mlflow-${model}-v${key.version}`);
      await sleep(DURATION * 100);
    } while (Date.now() < end);

    for (const { deployed } of listeners) {
      await waitFor("all services", async () => ((await deployed()).length === wanted.length ? true : undefined));
      expect((await deployed()).sort()).toEqual(wanted.sort());
    }
    expect(changes.map(({ method }) => method)).toEqual(["POST", "POST"]);
    expect(kept.map(({ keeper }) => keeper.state().mode)).toEqual(["webhook", "webhook"]);
    expect((await listWebhooks(transport)).filter(webhook => webhook.name === name)).toHaveLength(2);
  },
  DURATION * 3_000 + 120_000,
);
