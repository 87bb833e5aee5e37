import { expect, inject, it } from "vitest";
import type { ApiServer } from "../../capabilities/kubernetes/api-server";
import { kubeConfigFrom } from "../support/kube-config";
import { createNamespace } from "../testbed/namespaces";
import { countingLog, createPoller } from "./in-process-listener";
import { startMlflowWith } from "./large-registry";
import { measurePoll } from "./poll-cost";
import { countRequests } from "./request-count";

/**
 * Has the API server check, admit and answer every Apply, and keep none: a thousand services would occupy KServe's
 * controller, which other tests wait for. `npm run scale` keeps them.
 */
function dryRun(apiServer: ApiServer): ApiServer {
  return async request => {
    if (request.method === "GET") return await apiServer(request);
    const { status, body } = await apiServer({ ...request, query: { ...request.query, dryRun: "All" } });
    const object = body as { readonly metadata: Readonly<Record<string, unknown>> };
    // What is not kept has no version to be known by.
    return { status, body: { ...object, metadata: { ...object.metadata, resourceVersion: "1" } } };
  };
}

it("deploys all of a registry that needs more than one page of MLflow's search", async () => {
  const models = Array.from({ length: 450 }, (_, index) => `model-${index}`);
  const registry = { models, versions: 3, tagged: 1100, tag: "deploy", runs: false };
  const [python, kubeconfig] = [inject("python"), inject("kubeconfig")];
  const mlflow = await startMlflowWith(registry, { python, logDirectory: inject("logDirectory"), workers: 2 });
  const requests = countRequests();
  const systems = {
    mlflow: mlflow.trackingUri,
    apiServer: kubeConfigFrom(kubeconfig).getCurrentCluster()?.server ?? "",
  };
  const applied = new Set<string>();
  const log = countingLog();
  const listener = createPoller({
    kubeconfig,
    mlflowTrackingUri: mlflow.trackingUri,
    namespace: await createNamespace("scale"),
    deployTagKey: registry.tag,
    log,
    wrapApiServer: apiServer => async request => {
      const answer = await dryRun(apiServer)(request);
      if (request.method === "PATCH") applied.add(request.path);
      return answer;
    },
  });
  try {
    const { report, mlflowRequests } = await measurePoll(listener, requests, systems);

    expect(log.firstError()).toBeUndefined();
    expect(report).toMatchObject({ tagged: 1100, managed: 0, created: 1100, updated: 0, deleted: 0, failed: 0 });
    expect(applied.size).toBe(1100);
    // Two pages of the search; and of each version at the most itself and the second look.
    expect(mlflowRequests).toBeGreaterThanOrEqual(2);
    expect(mlflowRequests).toBeLessThanOrEqual(2 + 2 * 1100);
  } finally {
    await listener.stop();
    requests.stop();
    await mlflow.part.stop();
  }
}, 400_000);
