import type { Configuration } from "./configuration/configuration";
import {
  countKubernetesErrors,
  countMlflowErrors,
  countOperation,
  countServices,
} from "./observability/instrumentation";
import type { ApiServer } from "./kubernetes/api-server";
import { createEventRecorder } from "./kubernetes/events";
import { createInferenceServices } from "./kserve/inference-services";
import { createBatchingReader } from "./mlflow/batching-reader";
import { createMlflowReader } from "./mlflow/client";
import { createMlflowTransport } from "./mlflow/transport";
import type { MlflowTransport } from "./mlflow/transport";
import { createWebhookKeeper } from "./mlflow/webhook-keeper";
import type { WebhookKeeper } from "./mlflow/webhook-keeper";
import { formatKey } from "./support/model-version-key";
import type { ModelVersionKey } from "./support/model-version-key";
import { createHealthCheck } from "./observability/health";
import type { ModuleStatus } from "./observability/health";
import type { Log } from "./observability/logging";
import { messageOf } from "./observability/logging";
import { createMetrics } from "./observability/metrics";
import { fixedSecret } from "./configuration/rotating-secret";
import type { RotatingSecret } from "./configuration/rotating-secret";
import { decide } from "./reconciliation/decision";
import { createDeletionGuard } from "./reconciliation/deletion-guard";
import { createKeyedQueue } from "./reconciliation/keyed-queue";
import { createObserver } from "./reconciliation/observer";
import type { Observer } from "./reconciliation/observer";
import { createReconciler } from "./reconciliation/reconciler";
import type { Outcome } from "./reconciliation/reconciler";
import { createReporter } from "./status/reporting";
import { resync } from "./reconciliation/resync";
import type { ResyncReport } from "./reconciliation/resync";
import { createDeliveryHandler } from "./server/webhook/deliveries";
import { startHttpServer } from "./server/http-server";
import type { HttpServer } from "./server/http-server";
import { createRoutes } from "./server/routes";
import { createTlsOptions } from "./server/tls";

/** Milliseconds for one call of MLflow; MLflow itself gives a delivery 30 s. */
const MLFLOW_DEADLINE = 10_000;

/**
 * Model versions reconciled at the same time. Many, so that one search of MLflow serves many of them; how much goes to MLflow
 * and to the API server at once is limited where they are asked.
 */
const CONCURRENCY = 256;

/**
 * Milliseconds after an Apply or Delete was acknowledged until MLflow is looked at again, at the most. The looks of several
 * versions then share one search, which leaves MLflow's time to those who wait for an answer.
 */
const SECOND_LOOK_WITHIN = 100;

/** Milliseconds for a call about webhooks: MLflow tries a test delivery four times before it answers. */
const WEBHOOK_CALL_DEADLINE = 60_000;

export interface ListenerOptions extends Configuration {
  readonly apiServer: ApiServer;
  readonly log: Log;
  /** The webhook's secret when it may be replaced while the module runs; otherwise the settings' one stays. */
  readonly webhookSecret?: RotatingSecret | undefined;
}

/** The module without Pepr: everything that Pepr's actions and schedules call. */
export interface Listener {
  /**
   * Starts the HTTP server. With `deliveries` it takes MLflow's, unless the settings disable webhooks, and the webhook is
   * kept registered in MLflow when a URL for it is set; without, it only tells how the module is.
   *
   * @throws Error when the address cannot be listened on, or the certificate cannot be used
   */
  serve: (deliveries: boolean) => Promise<HttpServer>;
  /** Compares MLflow with the cluster and reconciles what differs; undefined when that failed, which was logged. */
  poll: () => Promise<ResyncReport | undefined>;
  /**
   * Polls now and then once every POLLING_INTERVAL. A timer of ours, because Pepr's OnSchedule goes by the wall clock: it
   * keeps the time of its last run in the cluster, and after the clock was set back waits until that time comes again.
   */
  startPolling: () => void;
  readonly observer: Observer;
  /** Resolves when no work is under way, second looks included. */
  idle: () => Promise<void>;
  /** Ends the server and waits for all work under way. */
  stop: () => Promise<void>;
}

export function createListener(options: ListenerOptions): Listener {
  const { settings, template, log, webhookSecret } = options;
  const metrics = createMetrics();
  const apiServer = countKubernetesErrors(options.apiServer, metrics);
  const transportWith = (deadline: number, freshConnections: boolean): MlflowTransport =>
    countMlflowErrors(
      createMlflowTransport({
        trackingUri: settings.MLFLOW_TRACKING_URI,
        authorization: settings.mlflowAccess.authorization,
        certificates: options.mlflowCertificates,
        insecureTls: settings.mlflowAccess.insecureTls,
        deadline,
        freshConnections,
      }),
      metrics,
    );
  const deployTagKey = settings.DEPLOY_TAG_KEY;
  const mlflow = createBatchingReader(createMlflowReader(transportWith(MLFLOW_DEADLINE, false)), deployTagKey);
  const namespace = settings.KUBE_NAMESPACE;
  const services = countServices(createInferenceServices(apiServer, namespace), metrics);
  const reconciler = createReconciler({
    mlflow,
    services,
    template,
    deployTagKey,
    storage: { storageUriBase: settings.STORAGE_URI_BASE, allowedStorageUris: settings.ALLOWED_STORAGE_URIS },
    resources: {
      cpuRequest: settings.PREDICTOR_CPU_REQUEST,
      cpuLimit: settings.PREDICTOR_CPU_LIMIT,
      memoryRequest: settings.PREDICTOR_MEMORY_REQUEST,
      memoryLimit: settings.PREDICTOR_MEMORY_LIMIT,
    },
  });
  const reporter = createReporter(namespace, createEventRecorder(apiServer, namespace, log), log);
  const queue = createKeyedQueue<ModelVersionKey, Outcome>({
    identity: formatKey,
    concurrency: CONCURRENCY,
    confirmWithin: SECOND_LOOK_WITHIN,
    work: async key => {
      try {
        const acted = await countOperation(reconciler.act(key), metrics);
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
  metrics.observeQueue(() => queue.depth);
  const guard = createDeletionGuard(
    {
      share: settings.DELETION_GUARD_PERCENT / 100,
      count: settings.DELETION_GUARD_COUNT,
      confirmations: settings.DELETION_GUARD_CONFIRMATIONS,
    },
    async key => decide(await mlflow.getModelVersion(key), deployTagKey).kind === "remove",
  );

  const fixed = settings.MLFLOW_WEBHOOK_SECRET;
  const secret = webhookSecret ?? (fixed === undefined ? undefined : fixedSecret(fixed));
  let server: HttpServer | undefined;
  let keeper: WebhookKeeper | undefined;
  let lastSuccessfulPoll: Date | undefined;
  let running: Promise<ResyncReport | undefined> | undefined;
  let pollTimer: NodeJS.Timeout | undefined;

  const pollOnce = async (): Promise<ResyncReport | undefined> => {
    const start = performance.now();
    try {
      const report = await resync({ mlflow, services, reconciler, reconcile, guard, deployTagKey, log });
      lastSuccessfulPoll = new Date();
      metrics.pollSucceeded(lastSuccessfulPoll);
      metrics.deletionsHeld(report.held);
      if (report.held > 0) reporter.held(report);
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

  const poll = (): Promise<ResyncReport | undefined> => {
    running ??= pollOnce().finally(() => {
      running = undefined;
    });
    return running;
  };

  /** What carries the work, as far as this process knows: without a webhook to keep, the poll does. */
  const status = (): ModuleStatus => ({ ...(keeper?.state() ?? { mode: "polling" }), lastSuccessfulPoll });

  const startServer = async (takesDeliveries: boolean): Promise<HttpServer> => {
    const { TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile } = settings;
    const deliveries =
      takesDeliveries && secret !== undefined
        ? createDeliveryHandler({ secrets: secret.accepted, deployTagKey, namespace, reconcile, log, metrics })
        : undefined;
    const health = createHealthCheck(
      () => mlflow.ping(),
      () => services.ping(),
    );
    return await startHttpServer({
      host: settings.APP_HOST,
      port: settings.APP_PORT,
      routes: createRoutes({ deliveries, health, services, status, metrics }),
      log,
      tls: certFile !== undefined && keyFile !== undefined ? createTlsOptions({ certFile, keyFile, log }) : undefined,
    });
  };

  return {
    async serve(deliveries) {
      const takesDeliveries = deliveries && !settings.DISABLE_WEBHOOKS && secret !== undefined;
      server = await startServer(takesDeliveries);
      log.info({ host: settings.APP_HOST, port: server.port, webhook: takesDeliveries }, "Endpoint is listening");
      metrics.setMode(status().mode);
      if (takesDeliveries && settings.MLFLOW_WEBHOOK_URL !== undefined) {
        keeper = createWebhookKeeper({
          transport: transportWith(WEBHOOK_CALL_DEADLINE, true),
          name: settings.MLFLOW_WEBHOOK_NAME,
          url: settings.MLFLOW_WEBHOOK_URL,
          secret: secret.forMlflow,
          startupTimeout: settings.WEBHOOK_STARTUP_TIMEOUT,
          startupRetries: settings.WEBHOOK_STARTUP_RETRIES,
          log,
          onState: ({ mode }) => {
            metrics.setMode(mode);
          },
        });
        metrics.setMode(status().mode);
      }
      return server;
    },

    poll,

    startPolling() {
      void poll();
      pollTimer ??= setInterval(() => void poll(), settings.POLLING_INTERVAL * 1000);
    },

    observer: createObserver(reconcile, log, metrics.tagToReady),

    idle: () => queue.idle(),

    async stop() {
      clearInterval(pollTimer);
      secret?.stop();
      await Promise.all([keeper?.stop(), server?.close()]);
      await running;
      await queue.idle();
    },
  };
}
