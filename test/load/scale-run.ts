import { connectToApiServer } from "../../capabilities/kubernetes/api-server";
import { createInferenceServices } from "../../capabilities/kserve/inference-services";
import { inferenceServiceName } from "../../capabilities/kserve/names";
import type { Listener } from "../../capabilities/module";
import type { ModelVersionKey } from "../../capabilities/support/model-version-key";
import { kubeConfigFrom } from "../support/kube-config";
import { listManaged } from "../support/managed-services";
import { openRegistry } from "../support/mlflow-registry";
import { countingLog, createPoller } from "./in-process-listener";
import type { LargeRegistry } from "./large-registry";
import { measurePoll } from "./poll-cost";
import type { PollCost } from "./poll-cost";
import { countRequests } from "./request-count";

/** Versions in one page of MLflow's search, and services in one of the API server's list, as the module asks for them. */
const [MLFLOW_PAGE, API_SERVER_PAGE] = [1000, 500];

export interface ScaleRunOptions {
  readonly kubeconfig: string;
  readonly mlflowTrackingUri: string;
  readonly namespace: string;
  /** What is in that MLflow already. */
  readonly registry: LargeRegistry;
  readonly onPoll: (name: string, cost: PollCost) => void;
}

/**
 * Lets the module poll a large registry: the first time, when all is done, after one change, and as a process that has
 * just been started.
 *
 * @returns what is wrong; empty when every tagged version, and nothing else, has its service and no poll asked too much
 */
export async function runScale(options: ScaleRunOptions): Promise<string[]> {
  const { registry, namespace, kubeconfig, mlflowTrackingUri, onPoll } = options;
  const kubeConfig = kubeConfigFrom(kubeconfig);
  const systems = { mlflow: mlflowTrackingUri, apiServer: kubeConfig.getCurrentCluster()?.server ?? "" };
  const services = createInferenceServices(connectToApiServer(30_000, kubeConfig), namespace);
  const writer = openRegistry(mlflowTrackingUri);
  const requests = countRequests();
  const problems: string[] = [];
  const check = (holds: boolean, problem: string): void => {
    if (!holds) problems.push(problem);
  };
  const log = countingLog();
  const start = (): Listener =>
    createPoller({ kubeconfig, mlflowTrackingUri, namespace, deployTagKey: registry.tag, log });
  const poll = async (name: string, listener: Listener): Promise<PollCost> => {
    const cost = await measurePoll(listener, requests, systems);
    onPoll(name, cost);
    check(
      cost.report.failed === 0,
      `${name}: ${cost.report.failed} versions failed, the first because: ${log.firstError() ?? "unknown"}`,
    );
    return cost;
  };
  const expectDeployed = async (tagged: readonly ModelVersionKey[]): Promise<void> => {
    const expected = new Set(tagged.map(key => inferenceServiceName(key, namespace)));
    const deployed = new Set((await listManaged(services)).map(({ metadata }) => metadata.name));
    const missing = [...expected].filter(name => !deployed.has(name));
    const needless = [...deployed].filter(name => !expected.has(name));
    check(missing.length === 0, `${missing.length} tagged versions have no service, for example ${missing[0] ?? ""}`);
    check(
      needless.length === 0,
      `${needless.length} services are of no tagged version, for example ${needless[0] ?? ""}`,
    );
  };
  // And one search for models that follow their aliases.
  const searches = Math.ceil(registry.tagged / MLFLOW_PAGE) + 1;
  const expectIdle = (name: string, { report, apiServerRequests }: PollCost): void => {
    const changes = report.created + report.updated + report.deleted;
    check(changes === 0, `${name}: ${changes} services were changed without need`);
    const lists = Math.ceil(registry.tagged / API_SERVER_PAGE);
    check(apiServerRequests === lists, `${name}: ${apiServerRequests} requests to the API server, ${lists} are enough`);
  };

  const listener = start();
  try {
    const tagged = taggedIn(registry);
    const first = await poll("first poll", listener);
    check(first.report.created === tagged.length, `${first.report.created} of ${tagged.length} were created`);
    await expectDeployed(tagged);

    const idle = await poll("nothing changed", listener);
    expectIdle("nothing changed", idle);
    check(
      idle.mlflowRequests === searches,
      `nothing changed: ${idle.mlflowRequests} requests to MLflow, not ${searches}`,
    );

    const last = { model: registry.models.at(-1) ?? "", version: String(registry.versions) };
    await writer.setTag(last, registry.tag, "true");
    const set = await poll("one tag set", listener);
    check(set.report.created === 1, `one tag set: ${set.report.created} created`);
    await expectDeployed([...tagged, last]);

    await writer.deleteTag(last, registry.tag);
    const deleted = await poll("one tag deleted", listener);
    check(deleted.report.deleted === 1, `one tag deleted: ${deleted.report.deleted} deleted`);
    await expectDeployed(tagged);
  } finally {
    await listener.stop();
  }

  const restarted = start();
  try {
    // A new process knows no run's experiment and asks once for each.
    expectIdle("restarted", await poll("restarted, first poll", restarted));
    const again = await poll("restarted, nothing changed", restarted);
    check(again.mlflowRequests === searches, `restarted: ${again.mlflowRequests} requests to MLflow, not ${searches}`);
  } finally {
    await restarted.stop();
    requests.stop();
  }
  return problems;
}

/** The versions that have the tag, as the registry was filled. */
function taggedIn({ models, versions, tagged }: LargeRegistry): ModelVersionKey[] {
  const all = Array.from({ length: versions }, (_, index) =>
    models.map(model => ({ model, version: String(index + 1) })),
  );
  return all.flat().slice(0, tagged);
}
