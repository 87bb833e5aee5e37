import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../observability/logging";
import type { Log } from "../observability/logging";
import { stoppable } from "./stoppable-transport";
import type { MlflowTransport } from "./transport";
import { ownOf } from "./webhook-ownership";
import type { WebhookIdentity } from "./webhook-ownership";
import { listWebhooks, removeWebhook } from "./webhook-registration";

/**
 * Milliseconds between the looks; the last one goes on. More than one look, because during a rolling update a pod with the
 * former settings still restores the webhook: within a minute after the last of those has gone it is removed for good.
 */
const PAUSES: readonly number[] = [5_000, 10_000, 15_000, 30_000, 60_000, 300_000, 3_600_000];

export interface WebhookRemovalOptions {
  readonly transport: MlflowTransport;
  /** Whose webhook it is; the URL is empty where none is set any more. */
  readonly identity: WebhookIdentity;
  readonly log: Log;
  /** See {@link PAUSES}, for tests. */
  readonly pauses?: readonly number[];
}

export interface WebhookRemoval {
  /** Ends the looks. Never rejects. */
  readonly stop: () => Promise<void>;
}

/**
 * Takes this installation's webhook out of MLflow, in the background, where nothing takes its deliveries any more: left
 * there, MLflow would go on trying to deliver. One of somebody else is never touched.
 */
export function createWebhookRemoval(options: WebhookRemovalOptions): WebhookRemoval {
  const { identity, log, pauses = PAUSES } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const transport = stoppable(options.transport, signal, new Error("stopped"));
  let isTold = false;

  const look = async (): Promise<void> => {
    try {
      for (const { webhook_id: id, name } of ownOf(await listWebhooks(transport), identity)) {
        await removeWebhook(transport, id);
        log.info({ webhook: name, id }, "Webhook was removed from MLflow, as deliveries are switched off");
      }
    } catch (error) {
      if (isTold || signal.aborted) return;
      isTold = true;
      // Usual where there never was one: an MLflow without webhooks, or an account that may not manage them.
      log.info({ cause: messageOf(error) }, "Could not look whether MLflow still has this installation's webhook");
    }
  };

  const work = async (): Promise<void> => {
    for (let next = 0; !signal.aborted; next++) {
      await look();
      await sleep(pauses[next] ?? pauses.at(-1), undefined, { signal, ref: false }).catch(() => undefined);
    }
  };

  const done = work();
  return {
    async stop() {
      stopping.abort();
      await done;
    },
  };
}
