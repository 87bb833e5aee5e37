import type { InferenceServices } from "../kserve/inference-services";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import { VERSION } from "../observability/health";
import type { Health, ModuleStatus } from "../observability/health";
import { METRICS_CONTENT_TYPE } from "../observability/metrics";
import type { Metrics } from "../observability/metrics";
import type { PageSource, VersionState } from "../status/published";
import { withoutSecrets } from "../support/foreign-text";
import { shuttingDown, starting } from "./answers";
import type { Answer } from "./answers";
import type { Handler, Routes } from "./http-server";
import { createPageRoutes } from "./page/page-routes";
import { createServicesHandler } from "./services-handler";

export interface RouteOptions {
  /** Missing when the module works by polling alone. */
  readonly deliveries: Handler | undefined;
  readonly health: () => Promise<Health>;
  readonly services: InferenceServices;
  /** The state of the version that a service is of. */
  readonly stateOf: (live: LiveInferenceService) => VersionState;
  readonly status?: (() => ModuleStatus) | undefined;
  /** Without them there is no /metrics. */
  readonly metrics?: Pick<Metrics, "render"> | undefined;
  /** Whether all that belongs to the module beside this endpoint is up; it is when left out. */
  readonly isReady?: (() => boolean) | undefined;
  /** What the status page shows; in a process without it the page is answered 404, and where it is. */
  readonly page?: PageSource | undefined;
}

/** The paths by who asks for them; docs/http-api.md describes them for people, docs/openapi.yaml for programs. */
export interface RoutesByPurpose {
  /** What MLflow, and an ingress, have to reach. */
  readonly deliveries: Routes;
  /** What only the cluster's operators, the kubelet and Prometheus have to reach. */
  readonly operations: Routes;
  /** Both, for one port. */
  readonly all: Routes;
}

export function createRoutes(options: RouteOptions): RoutesByPurpose {
  const { deliveries, metrics, isReady = () => true } = options;
  const readiness = (): Answer => (isReady() ? { status: 200, body: { status: "ready" } } : starting());
  const webhook: Routes = deliveries === undefined ? {} : { "/webhook": { POST: deliveries } };
  const health: Routes = { "/health": { GET: healthHandler(options) } };
  const insight: Routes = {
    "/services": { GET: createServicesHandler(options.services, options.stateOf) },
    ...(metrics === undefined ? {} : { "/metrics": { GET: metricsHandler(metrics) } }),
  };
  const page = createPageRoutes(options.page);
  const probes: Routes = {
    // Asked by the kubelet every few seconds: they ask nobody. A dead MLflow is no reason to restart the pod or to keep
    // MLflow's deliveries from it, once it lives again.
    "/livez": { GET: () => Promise.resolve({ status: 200, body: { status: "alive" } }) },
    "/readyz": { GET: ({ closing }) => Promise.resolve(closing ? shuttingDown() : readiness()) },
  };
  return {
    deliveries: { ...webhook, ...health, ...probes },
    operations: { ...health, ...insight, ...probes, ...page },
    all: { ...webhook, ...health, ...insight, ...probes, ...page },
  };
}

function healthHandler({ health, status = () => ({ mode: "starting" }) }: RouteOptions): Handler {
  return async () => {
    const { mlflowConnected, kubernetesConnected } = await health();
    const { mode, cause, lastSuccessfulPoll } = status();
    const healthy = mlflowConnected && kubernetesConnected;
    return {
      status: healthy ? 200 : 503,
      body: {
        status: healthy ? "healthy" : "unhealthy",
        mlflow_connected: mlflowConnected,
        kubernetes_connected: kubernetesConnected,
        mode,
        ...(cause === undefined ? {} : { cause: withoutSecrets(cause) }),
        last_successful_poll: lastSuccessfulPoll?.toISOString() ?? null,
        version: VERSION,
      },
    };
  };
}

function metricsHandler(metrics: Pick<Metrics, "render">): Handler {
  return async () => ({ status: 200, text: await metrics.render(), contentType: METRICS_CONTENT_TYPE });
}
