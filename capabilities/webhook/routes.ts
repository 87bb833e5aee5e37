import { keyOf } from "../kserve/identity";
import type { InferenceServices, LiveInferenceService } from "../kserve/inference-services";
import { messageOf } from "../operations/logging";
import type { Health } from "../operations/health";
import { errorAnswer } from "./http-server";
import type { Handler, Routes } from "./http-server";

/** All paths of the endpoint. `deliveries` is missing when the module works by polling alone. */
export function createRoutes(options: {
  readonly deliveries: Handler | undefined;
  readonly health: () => Promise<Health>;
  readonly services: InferenceServices;
}): Routes {
  const { deliveries, health, services } = options;
  return {
    ...(deliveries === undefined ? {} : { "/webhook": { POST: deliveries } }),
    "/health": {
      async GET() {
        const { mlflowConnected, kubernetesConnected } = await health();
        const healthy = mlflowConnected && kubernetesConnected;
        return {
          status: healthy ? 200 : 503,
          body: {
            status: healthy ? "healthy" : "unhealthy",
            mlflow_connected: mlflowConnected,
            kubernetes_connected: kubernetesConnected,
          },
        };
      },
    },
    "/services": {
      async GET() {
        try {
          const live = await services.listManaged();
          return { status: 200, body: { services: live.map(describeService) } };
        } catch (error) {
          return errorAnswer(500, messageOf(error));
        }
      },
    },
  };
}

function describeService(live: LiveInferenceService): Record<string, unknown> {
  const { name, namespace, creationTimestamp } = live.metadata;
  const key = keyOf(live.metadata);
  const ready = live.status.conditions.find(condition => condition.type === "Ready");
  return {
    name,
    namespace,
    model_name: key?.model,
    model_version: key?.version,
    status: ready?.status === "True" ? "Ready" : ready?.status === "False" ? "NotReady" : "Pending",
    url: live.status.url,
    since: ready?.lastTransitionTime === "" ? creationTimestamp : (ready?.lastTransitionTime ?? creationTimestamp),
    message: ready?.message === "" ? undefined : ready?.message,
  };
}
