import { hostname } from "node:os";
import type { Settings } from "./configuration/settings";
import { createWebhookKeeper } from "./mlflow/webhook-keeper";
import type { WebhookKeeper } from "./mlflow/webhook-keeper";
import { createWebhookRemoval } from "./mlflow/webhook-removal";
import type { WebhookRemoval } from "./mlflow/webhook-removal";
import type { MlflowTransport } from "./mlflow/transport";
import type { ModuleStatus } from "./observability/health";
import type { Log } from "./observability/logging";
import type { Metrics } from "./observability/metrics";

export interface WebhookUpkeepOptions {
  readonly settings: Settings;
  /** For calls about webhooks, each over a connection of its own. */
  readonly transport: MlflowTransport;
  /** Tells this installation's webhook in MLflow from those of others; host and namespace when undefined. */
  readonly installation: string | undefined;
  readonly catchUp: () => Promise<boolean>;
  readonly metrics: Pick<Metrics, "setMode">;
  readonly log: Log;
}

/** This installation's webhook in MLflow, as the settings want it. */
export interface WebhookUpkeep {
  /**
   * The endpoint listens: keeps the webhook registered when a URL for it is set, or takes out what a former setting left.
   *
   * @param secret what MLflow is to sign with; undefined where no deliveries are taken
   */
  readonly start: (secret: (() => string) | undefined) => void;
  /** What carries the work, as far as this process knows: without a webhook to keep, the poll does. */
  readonly status: () => Omit<ModuleStatus, "lastSuccessfulPoll">;
  /** The webhook stays. */
  readonly stop: () => Promise<void>;
}

export function createWebhookUpkeep(options: WebhookUpkeepOptions): WebhookUpkeep {
  const { settings, transport, installation, catchUp, metrics, log } = options;
  const { MLFLOW_WEBHOOK_NAME: name, MLFLOW_WEBHOOK_URL: url } = settings;
  let keeper: WebhookKeeper | undefined;
  let removal: WebhookRemoval | undefined;
  const status: WebhookUpkeep["status"] = () => keeper?.state() ?? { mode: "polling" };

  return {
    start(secret) {
      if (secret !== undefined && url !== undefined) {
        keeper = createWebhookKeeper({
          ...{ transport, name, url, catchUp, secret, log },
          installation: installation ?? `${hostname()}/${settings.KUBE_NAMESPACE}`,
          cacheLifetime: settings.MLFLOW_WEBHOOK_CACHE_TTL,
          startupTimeout: settings.WEBHOOK_STARTUP_TIMEOUT,
          startupRetries: settings.WEBHOOK_STARTUP_RETRIES,
          onState: ({ mode }) => {
            metrics.setMode(mode);
          },
        });
      } else if (installation !== undefined) {
        removal = createWebhookRemoval({ transport, identity: { name, url: url ?? "", installation }, log });
      }
      metrics.setMode(status().mode);
    },

    status,

    async stop() {
      await Promise.all([keeper?.stop(), removal?.stop()]);
    },
  };
}
