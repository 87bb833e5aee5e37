import { readFileSync } from "node:fs";
import { Capability, Log as peprLog } from "pepr";
import { gatherVariables, moduleNamespace, SECRET_SETTING } from "./configuration/cluster-variables";
import { readConfiguration } from "./configuration/configuration";
import { readMlflowAccess } from "./configuration/mlflow-access";
import { ignoredMlflowVariables } from "./configuration/mlflow-variables";
import { completeInstallation } from "./kubernetes/installation";
import { installationIdFrom, SERVICE_ACCOUNT_TOKEN_FILE } from "./kubernetes/installation-id";
import { admit } from "./kserve/admission";
import { connectToApiServer } from "./kubernetes/api-server";
import { CREATED_BY_KEY, MANAGED_BY, MANAGED_BY_LABEL } from "./kserve/identity";
import { InferenceService } from "./kserve/inference-service";
import { cleanFields } from "./observability/logging";
import { readOwnUsername } from "./kubernetes/own-identity";
import { createRenewableAccess } from "./mlflow/access";
import { shownProxy } from "./mlflow/routes";
import { createListener } from "./module";
import type { Listener } from "./module";
import { createRotatingSecret } from "./configuration/rotating-secret";
import { unknownSettings } from "./configuration/settings";
import { surviveUnhandledRejections } from "./support/termination";
import type { Settings } from "./configuration/settings";

/** Milliseconds for one request to the API server. */
const API_SERVER_DEADLINE = 15_000;

/** kubernetes-fluent-client does not export its own constants for what a watch tells. */
const isDeletion = (phase: string | undefined): boolean => phase === "DELETED";

/** `pepr build` runs the module once, without a cluster or settings, only to see which actions it has. */
export const isBuild = process.env.PEPR_MODE === "build";
/** `pepr dev` runs everything in one process; in a cluster the watcher polls and the others serve the endpoint. */
const isDevelopment = process.env.PEPR_MODE === "dev";
const isWatcher = process.env.PEPR_WATCH_MODE === "true";
/** The kubelet sets it in every pod. */
const isPod = process.env.KUBERNETES_SERVICE_HOST !== undefined;

/** What the actions need; nothing of it is there while the module is built. */
interface Running {
  readonly settings: Settings;
  readonly listener: Listener;
  readonly ownUsername: string | undefined;
}

/** The capability for Pepr, and what is to be told to the work that was started with it. */
export interface PeprCapability {
  readonly capability: Capability;
  /** Pepr's part works: from now on the readiness probe succeeds. */
  readonly peprIsUp: () => void;
  /** Takes no further work, and resolves when what is under way is done. */
  readonly stop: () => Promise<void>;
}

/**
 * Makes the capability, and starts what it is about; while the module is built, only the first.
 *
 * @throws Error when the settings are wrong or the endpoint cannot be opened, and KubernetesError when the API server
 *   cannot be reached
 */
export async function createPeprCapability(): Promise<PeprCapability> {
  let isUp = false;
  const running = isBuild ? undefined : await start(() => isUp);
  const capability = new Capability({
    name: "mlflow-kserve",
    description: "Serves every MLflow model version tagged deploy=true as a KServe InferenceService",
  });
  declareActions(capability, running);
  return {
    capability,
    peprIsUp() {
      isUp = true;
    },
    stop: async () => await running?.listener.stop(),
  };
}

/** @param isReady whether all that the module has beside the endpoint is up */
async function start(isReady: () => boolean): Promise<Running> {
  const apiServer = connectToApiServer(API_SERVER_DEADLINE);
  const gathered = await gatherVariables(process.env, apiServer, moduleNamespace(), peprLog);
  const { variables, readSecret, problems } = gathered;
  const configuration = readConfiguration(variables, problems);
  const { settings } = configuration;
  const log = peprLog.child({}, { level: settings.LOG_LEVEL, formatters: { log: cleanFields } });
  surviveUnhandledRejections(log);
  for (const { name, nearest } of unknownSettings(variables)) {
    log.warn({ setting: name }, `There is no setting ${name}; did you mean ${nearest}?`);
  }
  for (const { name, instead } of ignoredMlflowVariables(variables)) {
    log.warn({ variable: name }, `${name} is set and not read${instead === undefined ? "" : `: ${instead}`}`);
  }
  const { proxy } = configuration.mlflowAccess;
  if (proxy !== undefined) log.info({}, `MLflow is called through the proxy ${shownProxy(proxy)}`);
  const first = variables[SECRET_SETTING];
  const webhookSecret =
    readSecret !== undefined && first ? createRotatingSecret({ first, read: readSecret, log }) : undefined;
  const renewableAccess = createRenewableAccess({
    first: configuration.mlflowAccess,
    load: async () => readMlflowAccess(await gathered.readAgain()),
    log,
  });
  const installation = isPod ? installationIdOf(settings) : undefined;
  const polls = (isWatcher || isDevelopment) && (settings.DISABLE_WEBHOOKS || settings.ENABLE_POLLING_FALLBACK);
  const listener = createListener({
    ...configuration,
    showsPage: polls,
    renewableAccess,
    apiServer,
    log,
    webhookSecret,
    installation,
    isReady,
  });
  // By the pods that the Service is about, and before they tell MLflow its address.
  if (isPod && !isWatcher && !isDevelopment) {
    const endpoint = { port: settings.APP_PORT, isHttps: settings.TLS_CERT_FILE !== undefined };
    const targetNamespace = settings.KUBE_NAMESPACE;
    await completeInstallation({ apiServer, log, namespace: moduleNamespace(), targetNamespace, endpoint });
  }
  await listener.serve(!isWatcher || isDevelopment);
  if (polls) listener.startPolling();
  return { settings, listener, ownUsername: await readOwnUsername(apiServer, log) };
}

function installationIdOf(settings: Settings): string {
  let token: string | undefined;
  try {
    token = readFileSync(SERVICE_ACCOUNT_TOKEN_FILE, "utf8");
  } catch {
    // Mounted elsewhere, or not at all.
  }
  return installationIdFrom(token, `${moduleNamespace()}/${settings.KUBE_NAMESPACE}`);
}

function declareActions(capability: Capability, running: Running | undefined): void {
  const { When } = capability;
  const namespaces = running ? [running.settings.KUBE_NAMESPACE] : [];

  When(InferenceService)
    .IsCreatedOrUpdated()
    .InNamespace(...namespaces)
    .WithLabel(MANAGED_BY_LABEL, MANAGED_BY)
    .Watch((service, phase) => {
      const observer = running?.listener.observer;
      // It has read what it needs when it returns; kubernetes-fluent-client waits here before it tells of the next event.
      if (isDeletion(phase)) observer?.deleted(service);
      else observer?.changed(service);
      leaveOnlyIdentity(service);
    });
  watchDeletionsToo(capability);

  When(InferenceService)
    .IsCreated()
    .InNamespace(...namespaces)
    .WithLabel(MANAGED_BY_LABEL, MANAGED_BY)
    .Mutate(request => {
      const { username } = request.Request.userInfo;
      if (username !== undefined) request.SetAnnotation(CREATED_BY_KEY, username);
    });

  // Without the label: Pepr looks at the object as it would be, and who takes the label away would go unnoticed.
  When(InferenceService)
    .IsCreatedOrUpdated()
    .InNamespace(...namespaces)
    .Validate(request => {
      const decision = admit({
        after: request.Raw.metadata ?? {},
        before: request.OldResource?.metadata,
        username: request.Request.userInfo.username,
        ownUsername: running?.ownUsername,
      });
      return decision.allowed ? request.Approve() : request.Deny(decision.message, 403);
    });
}

/**
 * Lets the watch tell of deletions as well. A second action for them would be a second watch, with a second copy of every
 * object in memory. Pepr's runtime knows actions for any event, its fluent interface does not.
 */
function watchDeletionsToo({ bindings }: Capability): void {
  for (const binding of bindings) if (binding.isWatch) binding.event = "*" as typeof binding.event;
}

/**
 * kubernetes-fluent-client keeps every object of a watch for as long as it lives, and needs uid and resourceVersion of it:
 * the rest is most of what a watcher of many services has in memory.
 */
function leaveOnlyIdentity(service: InferenceService): void {
  delete service.spec;
  delete service.status;
  delete service.metadata?.managedFields;
}
