import type { InferenceServices } from "../kserve/inference-services";
import { VERSION } from "../observability/health";
import type { Health, ModuleStatus } from "../observability/health";
import { METRICS_CONTENT_TYPE } from "../observability/metrics";
import type { Metrics } from "../observability/metrics";
import { withoutSecrets } from "../support/foreign-text";
import { shuttingDown, starting } from "./answers";
import type { Answer } from "./answers";
import type { Handler, Routes } from "./http-server";
import { createServicesHandler } from "./services-handler";

export interface RouteOptions {
  /** Missing when the module works by polling alone. */
  readonly deliveries: Handler | undefined;
  readonly health: () => Promise<Health>;
  readonly services: InferenceServices;
  readonly status?: (() => ModuleStatus) | undefined;
  /** Without them there is no /metrics. */
  readonly metrics?: Pick<Metrics, "render"> | undefined;
  /** Whether all that belongs to the module beside this endpoint is up; it is when left out. */
  readonly isReady?: (() => boolean) | undefined;
}

/** All paths of the endpoint; docs/http-api.md describes them for people, docs/openapi.yaml for programs. */
export function createRoutes(options: RouteOptions): Routes {
  const { deliveries, metrics, isReady = () => true } = options;
  const readiness = (): Answer => (isReady() ? { status: 200, body: { status: "ready" } } : starting());
  return {
    ...(deliveries === undefined ? {} : { "/webhook": { POST: deliveries } }),
    "/health": { GET: healthHandler(options) },
    "/services": { GET: createServicesHandler(options.services) },
    ...(metrics === undefined ? {} : { "/metrics": { GET: metricsHandler(metrics) } }),
    // Asked by the kubelet every few seconds: they ask nobody. A dead MLflow is no reason to restart the pod or to keep
    // MLflow's deliveries from it, once it lives again.
    "/livez": { GET: () => Promise.resolve({ status: 200, body: { status: "alive" } }) },
    "/readyz": { GET: ({ closing }) => Promise.resolve(closing ? shuttingDown() : readiness()) },
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
