import { expect, inject } from "vitest";
import { gatherVariables } from "../../capabilities/configuration/cluster-variables";
import { completeInstallation } from "../../capabilities/kubernetes/installation";
import { ENDPOINT_SERVICE } from "../../capabilities/kubernetes/provided-objects";
import { connectToApiServer } from "../../capabilities/kubernetes/api-server";
import type { ApiServer } from "../../capabilities/kubernetes/api-server";
import { MANAGED_BY, MANAGED_BY_LABEL } from "../../capabilities/kserve/identity";
import { createInferenceServices } from "../../capabilities/kserve/inference-services";
import { endpointName } from "../../capabilities/kserve/names";
import type { LiveInferenceService } from "../../capabilities/kserve/live-inference-service";
import { isReady } from "../../capabilities/kserve/service-state";
import { readOwnUsername } from "../../capabilities/kubernetes/own-identity";
import { createNamespace, testKubectl } from "../testbed/namespaces";
import { startApiServerProxy } from "./api-server-proxy";
import type { ApiServerProxy } from "./api-server-proxy";
import { ask, eventOf, signed } from "./asking";
import { kubeConfigFrom } from "./kube-config";
import { SECRET, uniqueModel } from "./listener-fixture";
import { openRegistry } from "./mlflow-registry";
import type { MlflowRegistry } from "./mlflow-registry";
import { installPeprStore } from "./pepr-store";
import { createReplica } from "./replica";
import type { Replica, ReplicaRole } from "./replica";
import { installServiceAccount, PEPR_NAMESPACE } from "./service-account";
import type { InstalledServiceAccount } from "./service-account";
import { accessesOf, describeAccess, isAllowed } from "./service-account-access";
import type { Access } from "./service-account-access";
import type { KubernetesObject } from "./service-account-manifests";
import { recordingLog } from "./unit/recording-log";
import { waitFor } from "./waiting";

const SERVICES = "serving.kserve.io/inferenceservices";

/** The target namespace in the manifests, which is the settings' default. */
export const TARGET = "kserve-mlflow-models";

/** Milliseconds to wait for what other processes do. */
export const PATIENCE = 120_000;

/** The API server as the user of a kubeconfig. */
export const connect = (kubeconfig: string): ApiServer => connectToApiServer(15_000, kubeConfigFrom(kubeconfig));

/** The module's processes with the token of a ServiceAccount, and a record of all that they ask the API server. */
export interface World {
  readonly account: InstalledServiceAccount;
  readonly namespace: string;
  /** The API server, as the ServiceAccount. */
  readonly apiServer: ApiServer;
  readonly proxy: ApiServerProxy;
  /** What was asked, once each, by its description. */
  readonly asked: ReadonlyMap<string, Access>;
  /** Its processes, as they were started. */
  readonly replicas: Replica[];
}

/** Installs a ServiceAccount with its roles, for a namespace of its own. */
export async function openWorld(manifests: readonly KubernetesObject[]): Promise<World> {
  const namespace = await createNamespace("target");
  const service = manifests.find(({ kind, metadata }) => kind === "Service" && metadata.name === ENDPOINT_SERVICE);
  // What the manifests do not bring, the module provides; the namespace is then one that it made.
  if (service === undefined)
    await testKubectl()(["label", "namespace", namespace, `${MANAGED_BY_LABEL}=${MANAGED_BY}`]);
  else await testKubectl()(["apply", "-f", "-"], JSON.stringify(service));
  const directory = inject("logDirectory");
  const account = await installServiceAccount(manifests, {
    kubectl: testKubectl(),
    administrator: inject("kubeconfig"),
    directory,
    namespaces: { [TARGET]: namespace },
  });
  const apiServer = connect(account.kubeconfig);
  // The API server learns of new roles a moment after they were made.
  const access = { verb: "create", group: "serving.kserve.io", resource: "inferenceservices", namespace };
  await waitFor("the rights", async () => (await isAllowed(apiServer, access)) || undefined, PATIENCE);
  const proxy = await startApiServerProxy({ kubeconfig: account.kubeconfig, directory });
  const asked = new Map<string, Access>();
  proxy.fault = request => {
    for (const one of accessesOf(request)) asked.set(describeAccess(one), one);
    return undefined;
  };
  return { account, namespace, apiServer, proxy, asked, replicas: [] };
}

/** Has the module do all that it ever does, in the two roles that its pods have. */
export async function liveThrough({ proxy, namespace, account, asked, replicas }: World): Promise<void> {
  // What Pepr's controller does before it starts the module.
  await installPeprStore(testKubectl(), proxy.kubeconfig);
  const { log, lines } = recordingLog();
  const template = { MLFLOW_KSERVE_INFERENCE_SERVICE_TEMPLATE: "mlflow-kserve-template/text" };
  await gatherVariables(template, connect(proxy.kubeconfig), PEPR_NAMESPACE, log);
  expect(await readOwnUsername(connect(proxy.kubeconfig), log)).toBe(account.username);
  await completeInstallation({
    apiServer: connect(proxy.kubeconfig),
    log,
    namespace: PEPR_NAMESPACE,
    targetNamespace: namespace,
    endpoint: { port: 8000, isHttps: false },
  });
  expect(lines.filter(({ level }) => level === "warn" || level === "error")).toEqual([]);

  const settings = {
    MLFLOW_TRACKING_URI: inject("mlflowTrackingUri"),
    MLFLOW_WEBHOOK_SECRET: SECRET,
    KUBE_NAMESPACE: namespace,
    POLLING_INTERVAL: "10",
    LOG_LEVEL: "DEBUG",
  };
  const start = async (role: ReplicaRole): Promise<Replica> => {
    const name = `permissions-${role}-${namespace}`;
    const options = { name, role, settings, kubeconfig: proxy.kubeconfig, logDirectory: inject("logDirectory") };
    const replica = await createReplica(options);
    replicas.push(replica);
    await replica.start();
    return replica;
  };
  const [watcher, endpoint] = await Promise.all([start("watcher"), start("endpoint")]);
  const deliver = async (model: string): Promise<unknown> => {
    const body = eventOf(model);
    const { status, json } = await ask(endpoint.url, "/webhook", "POST", signed(body), body);
    return { status, action: json.action };
  };
  const registry = openRegistry(inject("mlflowTrackingUri"));
  const key = await registry.register(uniqueModel("permitted"), "s3://models/x", { deploy: "true" });
  const name = `mlflow-${key.model}-v1`;
  const services = createInferenceServices(connect(inject("kubeconfig")), namespace);
  const live = (is: (service: LiveInferenceService) => boolean): Promise<LiveInferenceService> =>
    waitFor(
      "the service",
      async () => {
        const service = await services.get(name);
        return service !== undefined && service.metadata.deletionTimestamp === undefined && is(service)
          ? service
          : undefined;
      },
      PATIENCE,
    );

  expect(await deliver(key.model)).toEqual({ status: 200, action: "created" });
  const first = await live(() => true);
  // Pepr reads its stores some seconds after its start, one after the other.
  for (const watched of [SERVICES, `pepr.dev/peprstores in ${PEPR_NAMESPACE} named pepr-mlflow-kserve-schedule`]) {
    const isWatched = (): boolean => [...asked.keys()].some(one => one.startsWith(`watch ${watched}`));
    await waitFor(`Pepr's watch of ${watched}`, () => isWatched() || undefined, PATIENCE);
  }
  // What the page shows of one version, and KServe's configuration, which a poll reads once something serves.
  await live(isReady);
  const path = `/page/version?${new URLSearchParams({ model: key.model, version: key.version }).toString()}`;
  await waitFor("the version on the page", async () => {
    const { status } = await ask(watcher.url, path, "GET", {});
    return status === 200 || undefined;
  });
  const configuration = "get configmaps in kserve named inferenceservice-config";
  await waitFor("KServe's configuration", () => asked.has(configuration) || undefined, PATIENCE);
  await liveThroughEndpoint(registry, namespace);
  const source = { spec: { predictor: { model: { storageUri: "s3://somebody/else" } } } };
  await testKubectl()(["patch", "isvc", name, "-n", namespace, "--type=merge", "-p", JSON.stringify(source)]);
  await live(({ spec }) => JSON.stringify(spec).includes("s3://models/x"));
  // Made again within moments, it would be waited for without an end.
  await testKubectl()(["delete", "isvc", name, "-n", namespace, "--wait=false"]);
  await live(({ metadata }) => metadata.uid !== first.metadata.uid);
  await registry.deleteTag(key, "deploy");
  expect(await deliver(key.model)).toMatchObject({ status: 200 });
  await waitFor("its end", async () => (await services.get(name)) === undefined || undefined, PATIENCE);
  await waitFor("the Events", () => asked.has(`create events in ${namespace}`) || undefined, PATIENCE);
}

/** The endpoint of a model that follows its aliases, from its beginning to its end. */
async function liveThroughEndpoint(registry: MlflowRegistry, namespace: string): Promise<void> {
  const key = await registry.register(uniqueModel("followed"), "s3://models/x");
  const endpoint = endpointName(key.model);
  const isThere = async (): Promise<boolean> =>
    (await testKubectl()(["get", "service", endpoint, "-n", namespace, "--ignore-not-found", "-o", "name"])) !== "";
  await registry.setAlias(key, "champion");
  await registry.setModelTag(key.model, "deploy", "true");
  await waitFor("the endpoint", async () => (await isThere()) || undefined, PATIENCE);
  await registry.setModelTag(key.model, "deploy", undefined);
  await waitFor("the endpoint's end", async () => !(await isThere()) || undefined, PATIENCE);
}
