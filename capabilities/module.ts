import type { Configuration } from "./configuration/configuration";
import { countKubernetesErrors, countMlflowErrors, countServices } from "./observability/instrumentation";
import type { ApiServer } from "./kubernetes/api-server";
import { createEventRecorder } from "./kubernetes/events";
import { rememberDisputes } from "./kserve/disputed-fields";
import { createInferenceServices } from "./kserve/inference-services";
import { servicesElsewhere } from "./kserve/services-elsewhere";
import { readOwnUsername } from "./kubernetes/own-identity";
import { fixedAccess } from "./mlflow/access";
import type { RenewableAccess } from "./mlflow/access";
import { createBatchingReader } from "./mlflow/batching-reader";
import { createMlflowReader } from "./mlflow/client";
import { createMlflowTransport } from "./mlflow/transport";
import type { MlflowTransport } from "./mlflow/transport";
import { createRegisteredModelReader } from "./mlflow/registered-models";
import { createModelTags } from "./mlflow/model-tags";
import { createVersionTags } from "./mlflow/version-tags";
import type { ModelVersionKey } from "./support/model-version-key";
import { createHealthCheck } from "./observability/health";
import type { ModuleStatus } from "./observability/health";
import type { Log } from "./observability/logging";
import { createMetrics } from "./observability/metrics";
import { fixedSecret } from "./configuration/rotating-secret";
import type { RotatingSecret } from "./configuration/rotating-secret";
import type { Cause } from "./reconciliation/cause";
import { createCatchUp } from "./reconciliation/catch-up";
import { createFormerNamespaces } from "./reconciliation/former-namespaces";
import { createLaggingReads } from "./reconciliation/lagging-reads";
import type { ToldTag } from "./reconciliation/lagging-reads";
import { createObserver } from "./reconciliation/observer";
import type { Observer } from "./reconciliation/observer";
import { createPolling } from "./reconciliation/polling";
import type { Outcome } from "./reconciliation/reconciler";
import { createReconcileQueue } from "./reconcile-queue";
import { createElsewhereReporter } from "./status/elsewhere-reporting";
import { withStateWords } from "./status/event-states";
import { createFleetReporter, fleetCounts } from "./status/fleet-reporting";
import { createPublishing } from "./status/publishing";
import { createReporter } from "./status/reporting";
import { reconcileModel } from "./reconciliation/model-reconcile";
import { createModelEndpoints } from "./model-endpoints";
import { createFollowedAliases, followingReader } from "./rollout/followed-aliases";
import { rememberModels } from "./rollout/known-models";
import { createTemplateRollout } from "./reconciliation/template-rollout";
import { resync } from "./reconciliation/resync";
import type { ResyncReport } from "./reconciliation/resync";
import { createDeliveryHandler } from "./server/webhook/deliveries";
import { startEndpoint } from "./server/endpoint";
import type { Endpoint } from "./server/endpoint";
import { createRoutes } from "./server/routes";
import { createTlsOptions } from "./server/tls";
import { createStatusPage } from "./status-page";
import type { StatusPage } from "./status-page";
import { createVersionReconciling } from "./version-reconciling";
import { createWebhookUpkeep } from "./webhook-upkeep";

/** Milliseconds. */
const MINUTE = 60_000;

/** Milliseconds for one call of MLflow; MLflow itself gives a delivery 30 s. */
const MLFLOW_DEADLINE = 10_000;

/** Milliseconds for a call about webhooks: MLflow tries a test delivery four times before it answers. */
const WEBHOOK_CALL_DEADLINE = 60_000;

export interface ListenerOptions extends Configuration {
  readonly apiServer: ApiServer;
  readonly log: Log;
  /** The webhook's secret when it may be replaced while the module runs; otherwise the settings' one stays. */
  readonly webhookSecret?: RotatingSecret | undefined;
  /** How MLflow is called, when that may change while the module runs; otherwise the configuration's stays. */
  readonly renewableAccess?: RenewableAccess | undefined;
  /** Tells this installation's webhook in MLflow from those of others; host and namespace when left out. */
  readonly installation?: string | undefined;
  /** Whether this process polls, and so knows enough to show the status page. */
  readonly showsPage?: boolean | undefined;
  /** Whether what is around the module is up, for the readiness probe; it is when left out. */
  readonly isReady?: (() => boolean) | undefined;
}

/** The module without Pepr: everything that Pepr's actions and schedules call. */
export interface Listener {
  /**
   * Starts the endpoint. With `deliveries` it takes MLflow's, unless the settings disable webhooks, and the webhook is
   * kept registered in MLflow when a URL for it is set; without, it only tells how the module is.
   *
   * @throws Error when the address cannot be listened on, or the certificate cannot be used
   */
  serve: (deliveries: boolean) => Promise<Endpoint>;
  /** Compares MLflow with the cluster and reconciles what differs; undefined when that failed, which was logged. */
  poll: () => Promise<ResyncReport | undefined>;
  /** Polls now and then once every POLLING_INTERVAL. */
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
  const access = options.renewableAccess ?? fixedAccess(options.mlflowAccess);
  const uncounted = (deadline: number, freshConnections: boolean): MlflowTransport =>
    createMlflowTransport({ trackingUri: settings.MLFLOW_TRACKING_URI, access, deadline, freshConnections });
  const transportWith = (deadline: number, freshConnections: boolean): MlflowTransport =>
    countMlflowErrors(uncounted(deadline, freshConnections), metrics);
  const deployTagKey = settings.DEPLOY_TAG_KEY;
  const transport = transportWith(MLFLOW_DEADLINE, false);
  const reader = createMlflowReader(transport);
  const aliases = [settings.CHAMPION_ALIAS, settings.CHALLENGER_ALIAS];
  const batching = createBatchingReader(reader, deployTagKey);
  const models = rememberModels(createRegisteredModelReader(transport), deployTagKey);
  const followed = createFollowedAliases({
    models: models.reader,
    ...{ mlflow: batching, deployTagKey, aliases, log },
  });
  const mlflow = followingReader(batching, followed);
  const namespace = settings.KUBE_NAMESPACE;
  const startLimit = settings.ROLLOUT_DEADLINE_MINUTES * MINUTE;
  const { services, disputedIn } = rememberDisputes(
    countServices(createInferenceServices(apiServer, namespace), metrics, startLimit),
  );
  const record = withStateWords(createEventRecorder(apiServer, namespace, log));
  // What is denied or fails when tags are written has messages of its own, and is no alert: serving goes on.
  const tagTransport = uncounted(MLFLOW_DEADLINE, false);
  const endpoints = createModelEndpoints({
    ...{ settings, apiServer, models, mlflow: reader, inferenceServices: services, record, log },
    modelTags: options.showsPage === true ? createModelTags(tagTransport) : undefined,
  });
  const { reconciler, removals } = createVersionReconciling({
    ...{ settings, template, mlflow, reader, services, log },
    wantedByAlias: followed.ofModel,
    endpointUse: endpoints.useOf,
    workspace: access.current().workspace,
  });
  const rolloutOptions = {
    maximumUnavailable: settings.ROLLOUT_MAX_UNAVAILABLE,
    deadline: startLimit,
    dryRun: settings.ROLLOUT_DRY_RUN,
  };
  const rollout = createTemplateRollout(rolloutOptions);
  const reporter = createReporter(namespace, record, log);
  const publishing = createPublishing({
    apiServer,
    mlflow,
    tags: createVersionTags(tagTransport),
    namespace,
    startLimit,
    deployTagKey,
    statusTags: settings.STATUS_TAGS,
    statusTagPrefix: settings.STATUS_TAG_PREFIX,
    servingUrl: settings.SERVING_URL,
    kserveNamespace: settings.KSERVE_NAMESPACE,
    failureOf: reporter.failureOf,
    metrics,
    log,
  });
  const fleetReporter = createFleetReporter(namespace, record, log);
  const formerNamespaces = createFormerNamespaces({
    listElsewhere: where => servicesElsewhere(apiServer, where),
    servicesIn: former => createInferenceServices(apiServer, former),
    services,
    mlflow,
    deployTagKey,
    former: settings.FORMER_NAMESPACES,
    policy: settings.FORMER_NAMESPACE_SERVICES,
    readOwnUsername: () => readOwnUsername(apiServer, log),
    report: createElsewhereReporter({ namespace, record, log, metrics }),
    log,
  });
  const queue = createReconcileQueue({ reconciler, reporter, publishing, disputedIn, metrics, log });
  const reconcileFor =
    (cause: Cause) =>
    (key: ModelVersionKey): Promise<Outcome> =>
      queue.reconcile(key, { cause });
  const laggingReads = createLaggingReads({
    reconcile: reconcileFor("delivery"),
    deployTagKey,
    log,
    onEnd: metrics.laggingRead,
  });
  const reconcileDelivered = async (
    key: ModelVersionKey,
    told: ToldTag | undefined,
    deliveryId: string,
  ): Promise<Outcome> => {
    const outcome = await queue.reconcile(key, { cause: "delivery", deliveryId });
    if (told !== undefined) laggingReads.compare(key, told, outcome.version?.tags.get(deployTagKey));
    return outcome;
  };
  const fixed = settings.MLFLOW_WEBHOOK_SECRET;
  const secret = webhookSecret ?? (fixed === undefined ? undefined : fixedSecret(fixed));
  let server: Endpoint | undefined;
  let page: StatusPage | undefined;
  let lastSuccessfulPoll: Date | undefined;

  const comparison = {
    mlflow,
    services,
    reconciler,
    reconcile: reconcileFor("poll"),
    removals,
    reporter,
    deployTagKey,
  };
  const {
    poll,
    start: startPolling,
    stop: stopPolling,
  } = createPolling({
    resync: () =>
      publishing.during(onFound =>
        endpoints.during(onService =>
          resync({
            ...{ ...comparison, rollout },
            onFound(key, live) {
              onService(key, live);
              onFound(key, live);
            },
          }),
        ),
      ),
    onResynced(resynced, at) {
      lastSuccessfulPoll = at;
      metrics.pollSucceeded(at);
      metrics.fleet(fleetCounts(resynced));
      fleetReporter.found(resynced);
    },
    afterwards: () => formerNamespaces.look(),
    interval: settings.POLLING_INTERVAL * 1000,
    log,
  });

  const catchUp = createCatchUp({
    // The rollout, and what is told of the fleet, are the poll's, which may be another process.
    resync: () => resync({ ...comparison, rollout: createTemplateRollout({ ...rolloutOptions, dryRun: true }) }),
    log,
  });

  const webhook = createWebhookUpkeep({
    ...{ settings, catchUp, metrics, log },
    transport: transportWith(WEBHOOK_CALL_DEADLINE, true),
    installation: options.installation,
  });

  const status = (): ModuleStatus => ({ ...webhook.status(), lastSuccessfulPoll });

  const startServer = async (takesDeliveries: boolean): Promise<Endpoint> => {
    const { TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile } = settings;
    const reconcile = reconcileDelivered;
    const deliveries =
      takesDeliveries && secret !== undefined
        ? createDeliveryHandler({
            secrets: secret.accepted,
            followed: { deployTagKey, aliases },
            workspace: access.current().workspace,
            namespace,
            reconcile,
            async reconcileModel(model, version, deliveryId) {
              const wake = { cause: "alias", deliveryId } as const;
              try {
                return await reconcileModel(services, key => queue.reconcile(key, wake), model, version);
              } finally {
                await endpoints.reconcile(model);
              }
            },
            log,
            metrics,
          })
        : undefined;
    const health = createHealthCheck(
      () => mlflow.ping(),
      () => services.ping(),
    );
    if (options.showsPage === true) {
      page = createStatusPage({
        ...{ settings, takesDeliveries, publishing, apiServer, services, mlflow, health, status, metrics, log },
        transport: uncounted(MLFLOW_DEADLINE, false),
      });
    }
    return await startEndpoint({
      host: settings.APP_HOST,
      port: settings.APP_PORT,
      operationsPort: settings.OPERATIONS_PORT,
      routes: createRoutes({
        ...{ deliveries, health, services, status, metrics, isReady: options.isReady },
        stateOf: publishing.stateOf,
        page,
      }),
      log,
      tls: certFile !== undefined && keyFile !== undefined ? createTlsOptions({ certFile, keyFile, log }) : undefined,
    });
  };

  return {
    async serve(deliveries) {
      const takesDeliveries = deliveries && !settings.DISABLE_WEBHOOKS && secret !== undefined;
      server = await startServer(takesDeliveries);
      void publishing.start();
      const { host, port, operationsPort } = server;
      log.info({ host, port, operations_port: operationsPort, webhook: takesDeliveries }, "Endpoint is listening");
      metrics.setMode(status().mode);
      if (deliveries) webhook.start(takesDeliveries ? secret.forMlflow : undefined);
      return server;
    },

    poll,

    startPolling,

    observer: createObserver({
      reconcile: reconcileFor("watch"),
      log,
      onSeen(key, live) {
        publishing.serviceSeen(key, live);
        endpoints.serviceSeen(key, live);
      },
      onGone(key, uid) {
        publishing.serviceGone(key, uid);
        endpoints.serviceGone(key);
      },
      onFirstReady: metrics.tagToReady,
      record,
      isDisputed: queue.isDisputed,
    }),

    async idle() {
      await queue.idle();
      await endpoints.idle();
      await publishing.idle();
    },

    async stop() {
      secret?.stop();
      access.stop();
      laggingReads.stop();
      page?.stop();
      await Promise.all([stopPolling(), webhook.stop(), server?.close()]);
      await formerNamespaces.idle();
      await queue.idle();
      await endpoints.idle();
      await publishing.stop();
    },
  };
}
