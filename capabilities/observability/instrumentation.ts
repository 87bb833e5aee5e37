import { KubernetesError } from "../kubernetes/api-server";
import type { ApiServer } from "../kubernetes/api-server";
import type { InferenceServices } from "../kserve/inference-services";
import { stateOf } from "../kserve/service-state";
import { MlflowError } from "../mlflow/errors";
import type { MlflowTransport } from "../mlflow/transport";
import type { Metrics, ServiceCounts } from "./metrics";
import { describeFailure } from "../reconciliation/failures";
import type { Acted, Action } from "../reconciliation/reconciler";

const OPERATIONS: Readonly<Record<Action, string>> = {
  created: "create",
  updated: "update",
  deleted: "delete",
  unchanged: "unchanged",
  held: "held",
  ignored: "ignored",
};

/** The transport, with its failures counted; that something does not exist is an answer, no failure. */
export function countMlflowErrors(transport: MlflowTransport, metrics: Pick<Metrics, "mlflowError">): MlflowTransport {
  return async call => {
    try {
      return await transport(call);
    } catch (error) {
      const code = error instanceof MlflowError ? error.code : undefined;
      if (code !== "RESOURCE_DOES_NOT_EXIST") metrics.mlflowError(error instanceof MlflowError ? error.kind : "other");
      throw error;
    }
  };
}

/** The API server, with its failures counted; that the object asked for does not exist is an answer, no failure. */
export function countKubernetesErrors(apiServer: ApiServer, metrics: Pick<Metrics, "kubernetesError">): ApiServer {
  return async request => {
    try {
      return await apiServer(request);
    } catch (error) {
      const reads = request.method === "GET" || request.method === "DELETE";
      const isAbsence = error instanceof KubernetesError && error.status === 404 && error.about.name !== undefined;
      if (!(reads && isAbsence)) metrics.kubernetesError(error instanceof KubernetesError ? error.reason : "other");
      throw error;
    }
  };
}

/**
 * The services, with those of the last complete list counted by state.
 *
 * @param startLimit milliseconds that a service may take to become Ready
 */
export function countServices(
  services: InferenceServices,
  metrics: Pick<Metrics, "observeServices">,
  startLimit: number,
): InferenceServices {
  let counts: ServiceCounts | undefined;
  metrics.observeServices(() => counts);
  return {
    ...services,
    async *managedPages() {
      const now = { Starting: 0, Ready: 0, Failed: 0, Stopping: 0 };
      for await (const page of services.managedPages()) {
        for (const one of page) now[stateOf(one, startLimit)]++;
        yield page;
      }
      counts = now;
    },
  };
}

/** Counts what one reconcile did, or why it failed. */
export async function countOperation(work: Promise<Acted>, metrics: Pick<Metrics, "operation">): Promise<Acted> {
  try {
    const acted = await work;
    metrics.operation(OPERATIONS[acted.outcome.action], "success");
    return acted;
  } catch (error) {
    metrics.operation("reconcile", describeFailure(error).status);
    throw error;
  }
}
