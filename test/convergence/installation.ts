import { readFileSync } from "node:fs";
import type { ApiServer } from "../../capabilities/kubernetes/api-server";
import { createInferenceServices } from "../../capabilities/kserve/inference-services";
import { createReplica } from "../support/replica";
import type { Replica } from "../support/replica";
import { bystandersIn } from "./bystanders";
import type { Bystanders, BystandingModels } from "./bystanders";
import type { Lane } from "./lane";
import { createOracle } from "./oracle";
import type { Oracle } from "./oracle";
import { BUILT_IN_TEMPLATE } from "./templates";

/** Seconds, the least that the module takes. */
const POLLING_INTERVAL = 10;

/** Where an installation is, and what it goes by. */
export interface InstallationAddresses {
  /** Of Kubernetes, and the webhook's name. */
  readonly namespace: string;
  readonly tagKey: string;
  readonly mlflowUrl: string;
  readonly kubeconfig: string;
  readonly secret: string;
  /** Where MLflow delivers to; to the first endpoint when left out. */
  readonly webhookUrl?: string;
}

/** Copies of the module that make one installation. */
export interface Installation {
  /** All of them. */
  readonly replicas: readonly Replica[];
  readonly watcher: Replica;
  readonly endpoints: readonly Replica[];
  readonly oracle: Oracle;
  readonly bystanders: Bystanders;
  /** All replicas have this template from their next start on. */
  readonly setTemplate: (yaml: string) => void;
}

/** Makes an installation that does not run yet. @param apiServer the one itself, without faults */
export async function createInstallation(
  lane: Lane,
  apiServer: ApiServer,
  addresses: InstallationAddresses,
  endpointCount: number,
  models: BystandingModels,
): Promise<Installation> {
  const { namespace, tagKey, mlflowUrl, kubeconfig, secret } = addresses;
  const settings: Record<string, string> = {
    MLFLOW_TRACKING_URI: mlflowUrl,
    MLFLOW_WEBHOOK_SECRET: secret,
    MLFLOW_WEBHOOK_NAME: namespace,
    KUBE_NAMESPACE: namespace,
    DEPLOY_TAG_KEY: tagKey,
    // Installations of several seeds share an MLflow.
    STATUS_TAG_PREFIX: `serving-${tagKey}`,
    POLLING_INTERVAL: String(POLLING_INTERVAL),
    // Short enough that a seed settles within seconds, with a poll or two more.
    DELETION_HOLD_MINUTES: "0.1",
    HANDOVER_MINUTES: "0.1",
    FORMER_CHAMPION_MINUTES: "0",
    ROLLOUT_MAX_UNAVAILABLE: "50",
    LOG_LEVEL: "DEBUG",
  };
  const replicaOf = (role: "endpoint" | "watcher", number: number): Promise<Replica> =>
    createReplica({
      name: `${namespace}-${role}-${number}`,
      role,
      kubeconfig,
      logDirectory: lane.logDirectory,
      settings,
    });
  const [watcher, ...endpoints] = await Promise.all([
    replicaOf("watcher", 1),
    ...Array.from({ length: endpointCount }, (_, at) => replicaOf("endpoint", at + 1)),
  ]);
  const webhookUrl = addresses.webhookUrl ?? endpoints.map(({ url }) => `${url}/webhook`)[0];
  // The testbed's MLflow notices a webhook within a second.
  if (webhookUrl !== undefined)
    Object.assign(settings, { MLFLOW_WEBHOOK_URL: webhookUrl, MLFLOW_WEBHOOK_CACHE_TTL: "1" });
  let template = readFileSync(BUILT_IN_TEMPLATE, "utf8");
  const services = createInferenceServices(apiServer, namespace);
  const environment = Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [`MLFLOW_KSERVE_${name}`, value]),
  );
  const oracle = createOracle({
    trackingUri: lane.trackingUri,
    apiServer,
    namespace,
    tagKey,
    environment,
    template: () => template,
  });
  return {
    replicas: [watcher, ...endpoints],
    watcher,
    endpoints,
    oracle,
    bystanders: bystandersIn(namespace, models.keys, async name => (await services.get(name))?.metadata.uid),
    setTemplate(yaml) {
      template = yaml;
      settings.INFERENCE_SERVICE_TEMPLATE = yaml;
    },
  };
}
