import { setTimeout as sleep } from "node:timers/promises";
import type { Configuration } from "./configuration";
import type { ApiServer } from "./kserve/api-server";
import { createEventRecorder } from "./kserve/events";
import { createInferenceServices } from "./kserve/inference-services";
import { createMlflowReader } from "./mlflow/client";
import { createMlflowTransport } from "./mlflow/transport";
import { registerWebhook } from "./mlflow/webhook-registration";
import { formatKey } from "./model-version-key";
import type { ModelVersionKey } from "./model-version-key";
import { createHealthCheck } from "./operations/health";
import type { Log } from "./operations/logging";
import { messageOf } from "./operations/logging";
import { withoutCredentials } from "./operations/settings";
import { fixedSecret } from "./operations/rotating-secret";
import type { RotatingSecret } from "./operations/rotating-secret";
import { createKeyedQueue } from "./reconciliation/keyed-queue";
import { createObserver } from "./reconciliation/observer";
import type { Observer } from "./reconciliation/observer";
import { createReconciler } from "./reconciliation/reconciler";
import type { Outcome } from "./reconciliation/reconciler";
import { createReporter } from "./reconciliation/reporting";
import { resync } from "./reconciliation/resync";
import type { ResyncReport } from "./reconciliation/resync";
import { createDeliveryHandler } from "./webhook/deliveries";
import { startHttpServer } from "./webhook/http-server";
import type { HttpServer } from "./webhook/http-server";
import { createRoutes } from "./webhook/routes";

/** Milliseconds for one call of MLflow; MLflow itself gives a delivery 30 s. */
export const MLFLOW_DEADLINE = 10_000;

/** Model versions reconciled at the same time. */
const CONCURRENCY = 32;

/** Milliseconds between two attempts to register the webhook. */
const REGISTRATION_INTERVAL = 15_000;

export interface ListenerOptions extends Configuration {
  readonly apiServer: ApiServer;
  readonly log: Log;
  /** The webhook's secret when it may be replaced while the module runs; otherwise the settings' one stays. */
  readonly webhookSecret?: RotatingSecret | undefined;
}

/** The module without Pepr: everything that Pepr's actions and schedules call. */
export interface Listener {
  /**
   * Starts the HTTP server, and the registration in MLflow when a URL for it is set.
   *
   * @throws Error when the address cannot be listened on
   */
  serve: () => Promise<HttpServer>;
  /** Compares MLflow with the cluster and reconciles what differs; undefined when that failed, which was logged. */
  poll: () => Promise<ResyncReport | undefined>;
  readonly observer: Observer;
  /** Resolves when no work is under way, second looks included. */
  idle: () => Promise<void>;
  /** Ends the server and waits for all work under way. */
  stop: () => Promise<void>;
}

export function createListener(options: ListenerOptions): Listener {
  const { settings, template, apiServer, log, webhookSecret } = options;
  const fixed = settings.MLFLOW_WEBHOOK_SECRET;
  const secret = webhookSecret ?? (fixed === undefined ? undefined : fixedSecret(fixed));
  const transport = createMlflowTransport({
    trackingUri: settings.MLFLOW_TRACKING_URI,
    authorization: settings.mlflowAccess.authorization,
    deadline: MLFLOW_DEADLINE,
    certificates: options.mlflowCertificates,
    insecureTls: settings.mlflowAccess.insecureTls,
  });
  const mlflow = createMlflowReader(transport);
  const services = createInferenceServices(apiServer, settings.KUBE_NAMESPACE);
  const deployTagKey = settings.DEPLOY_TAG_KEY;
  const reconciler = createReconciler({
    mlflow,
    services,
    template,
    deployTagKey,
    storageUriBase: settings.STORAGE_URI_BASE,
    resources: {
      cpuRequest: settings.PREDICTOR_CPU_REQUEST,
      cpuLimit: settings.PREDICTOR_CPU_LIMIT,
      memoryRequest: settings.PREDICTOR_MEMORY_REQUEST,
      memoryLimit: settings.PREDICTOR_MEMORY_LIMIT,
    },
  });
  const reporter = createReporter(services.namespace, createEventRecorder(apiServer, services.namespace, log), log);
  const queue = createKeyedQueue<ModelVersionKey, Outcome>({
    identity: formatKey,
    concurrency: CONCURRENCY,
    work: async key => {
      try {
        const acted = await reconciler.act(key);
        reporter.done(key, acted.outcome);
        return { result: acted.outcome, confirm: acted.confirm };
      } catch (error) {
        reporter.failed(key, error);
        throw error;
      }
    },
    onUnconfirmed: ({ model, version }, error) => {
      log.warn(
        { model, version, cause: messageOf(error) },
        "The second look at MLflow failed, the next poll looks again",
      );
    },
  });
  const reconcile = (key: ModelVersionKey): Promise<Outcome> => queue.run(key);

  const stopping = new AbortController();
  let server: HttpServer | undefined;
  let running: Promise<ResyncReport | undefined> | undefined;

  const pollOnce = async (): Promise<ResyncReport | undefined> => {
    const start = performance.now();
    try {
      const report = await resync({ mlflow, services, reconciler, reconcile, deployTagKey, log });
      const changes = report.created + report.updated + report.deleted + report.failed;
      const fields = { ...report, duration_ms: Math.round(performance.now() - start) };
      if (changes > 0) log.info(fields, "Poll finished");
      else log.debug(fields, "Poll finished, nothing to do");
      return report;
    } catch (error) {
      log.error({ cause: messageOf(error) }, "Poll failed, nothing was changed");
      return undefined;
    }
  };

  const keepRegistering = async (url: string, secret: string): Promise<void> => {
    const name = settings.MLFLOW_WEBHOOK_NAME;
    const shown = withoutCredentials(url);
    while (!stopping.signal.aborted) {
      try {
        const { action } = await registerWebhook(transport, { name, url, secret });
        log.info({ webhook: name, url: shown, action }, "Webhook registered in MLflow");
        return;
      } catch (error) {
        log.warn(
          { webhook: name, url: shown, cause: messageOf(error) },
          "Webhook registration failed, polling goes on; trying again",
        );
      }
      await sleep(REGISTRATION_INTERVAL, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  };

  return {
    async serve() {
      const deliveries =
        settings.DISABLE_WEBHOOKS || secret === undefined
          ? undefined
          : createDeliveryHandler({
              secrets: secret.accepted,
              deployTagKey,
              namespace: settings.KUBE_NAMESPACE,
              reconcile,
              log,
            });
      const health = createHealthCheck(
        () => mlflow.ping(),
        () => services.ping(),
      );
      server = await startHttpServer({
        host: settings.APP_HOST,
        port: settings.APP_PORT,
        routes: createRoutes({ deliveries, health, services }),
        log,
      });
      log.info(
        { host: settings.APP_HOST, port: server.port, webhook: deliveries !== undefined },
        "Endpoint is listening",
      );
      if (deliveries !== undefined && secret !== undefined && settings.MLFLOW_WEBHOOK_URL !== undefined) {
        void keepRegistering(settings.MLFLOW_WEBHOOK_URL, secret.forMlflow());
      }
      return server;
    },

    poll() {
      running ??= pollOnce().finally(() => {
        running = undefined;
      });
      return running;
    },

    observer: createObserver(reconcile, log),

    idle: () => queue.idle(),

    async stop() {
      stopping.abort();
      secret?.stop();
      await server?.close();
      await running;
      await queue.idle();
    },
  };
}
