import { KubernetesError } from "../kserve/api-server";
import { keyOf } from "../kserve/identity";
import type { InferenceServices } from "../kserve/inference-services";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import { stateOf } from "../kserve/service-state";
import { messageOf } from "../operations/logging";
import { VERSION } from "../operations/health";
import type { Health, ModuleStatus } from "../operations/health";
import { METRICS_CONTENT_TYPE } from "../operations/metrics";
import type { Metrics } from "../operations/metrics";
import { errorAnswer, shuttingDown } from "./answers";
import type { Handler, Routes } from "./http-server";

const DEFAULT_LIMIT = 100;
const MAXIMUM_LIMIT = 500;

/** Characters; the API server's are some hundreds. */
const MAXIMUM_CONTINUE_LENGTH = 4096;

export interface RouteOptions {
  /** Missing when the module works by polling alone. */
  readonly deliveries: Handler | undefined;
  readonly health: () => Promise<Health>;
  readonly services: InferenceServices;
  readonly status?: (() => ModuleStatus) | undefined;
  /** Without them there is no /metrics. */
  readonly metrics?: Pick<Metrics, "render"> | undefined;
}

/** All paths of the endpoint; docs/http-api.md describes them for people, docs/openapi.yaml for programs. */
export function createRoutes(options: RouteOptions): Routes {
  const { deliveries, metrics } = options;
  return {
    ...(deliveries === undefined ? {} : { "/webhook": { POST: deliveries } }),
    "/health": { GET: healthHandler(options) },
    "/services": { GET: servicesHandler(options.services) },
    ...(metrics === undefined ? {} : { "/metrics": { GET: metricsHandler(metrics) } }),
    // Asked by the kubelet every few seconds: they ask nobody. A dead MLflow is no reason to restart the pod or to keep
    // MLflow's deliveries from it, once it lives again.
    "/livez": { GET: () => Promise.resolve({ status: 200, body: { status: "alive" } }) },
    "/readyz": {
      GET: ({ closing }) => Promise.resolve(closing ? shuttingDown() : { status: 200, body: { status: "ready" } }),
    },
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
        ...(cause === undefined ? {} : { cause }),
        last_successful_poll: lastSuccessfulPoll?.toISOString() ?? null,
        version: VERSION,
      },
    };
  };
}

function metricsHandler(metrics: Pick<Metrics, "render">): Handler {
  return async () => ({ status: 200, text: await metrics.render(), contentType: METRICS_CONTENT_TYPE });
}

function servicesHandler(services: InferenceServices): Handler {
  return async ({ query }) => {
    const page = parsePage(query);
    if ("problem" in page) return errorAnswer(400, page.problem);
    try {
      const { items, next } = await services.listPage(page.limit, page.next);
      const body = { services: items.map(describeService), ...(next === undefined ? {} : { continue: next }) };
      return { status: 200, body };
    } catch (error) {
      // Only a page that is named can be refused so.
      if (page.next !== undefined && error instanceof KubernetesError) {
        if (error.status === 400) return errorAnswer(400, `continue: ${error.message}`);
        if (error.status === 410) return errorAnswer(410, "continue: too old; begin again without it");
      }
      return errorAnswer(500, messageOf(error));
    }
  };
}

type Page = { readonly limit: number; readonly next: string | undefined } | { readonly problem: string };

function parsePage(query: URLSearchParams): Page {
  for (const name of query.keys()) {
    if (name !== "limit" && name !== "continue") return { problem: "the parameters are limit and continue" };
    if (query.getAll(name).length > 1) return { problem: `${name}: must be given once` };
  }
  const limit = query.get("limit") ?? String(DEFAULT_LIMIT);
  if (!/^[1-9]\d{0,2}$/.test(limit) || Number(limit) > MAXIMUM_LIMIT)
    return { problem: `limit: must be a whole number from 1 to ${MAXIMUM_LIMIT}` };
  const next = query.get("continue") ?? undefined;
  if (next === "" || (next?.length ?? 0) > MAXIMUM_CONTINUE_LENGTH)
    return { problem: "continue: must be as the page before gave it" };
  return { limit: Number(limit), next };
}

function describeService(live: LiveInferenceService): Record<string, unknown> {
  const { name, namespace, creationTimestamp, deletionTimestamp } = live.metadata;
  const key = keyOf(live.metadata);
  const ready = live.status.conditions.find(condition => condition.type === "Ready");
  const decided = ready?.lastTransitionTime ?? "";
  return {
    name,
    namespace,
    model_name: key?.model,
    model_version: key?.version,
    status: stateOf(live),
    url: live.status.url,
    since: deletionTimestamp ?? (decided === "" ? creationTimestamp : decided),
    message: ready?.message === "" ? undefined : ready?.message,
  };
}
