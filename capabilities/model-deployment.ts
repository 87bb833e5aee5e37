import { Capability, Log as peprLog } from "pepr";
import { readConfiguration } from "./configuration";
import { admit } from "./kserve/admission";
import { InferenceService } from "./kserve/inference-service";
import { connectToApiServer } from "./kserve/api-server";
import { MANAGED_BY, MANAGED_BY_LABEL } from "./kserve/identity";
import { createListener } from "./listener";
import type { Listener } from "./listener";
import { messageOf } from "./operations/logging";
import type { Settings } from "./operations/settings";

/** Milliseconds for one request to the API server. */
const API_SERVER_DEADLINE = 15_000;

/** `pepr build` runs the module once, without a cluster or settings, only to see which actions it has. */
const isBuild = process.env.PEPR_MODE === "build";
/** `pepr dev` runs everything in one process; in a cluster the watcher polls and the others serve the endpoint. */
const isDevelopment = process.env.PEPR_MODE === "dev";
const isWatcher = process.env.PEPR_WATCH_MODE === "true";

export const ModelDeployment = new Capability({
  name: "mlflow-kserve",
  description: "Serves every MLflow model version tagged deploy=true as a KServe InferenceService",
});

const { When, OnSchedule } = ModelDeployment;

if (isBuild) {
  declareActions(undefined, undefined);
} else {
  try {
    const { settings, template } = readConfiguration(process.env);
    const log = peprLog.child({}, { level: settings.LOG_LEVEL });
    const listener = createListener({ settings, template, apiServer: connectToApiServer(API_SERVER_DEADLINE), log });
    declareActions(settings, listener);
    if (!isWatcher || isDevelopment) void listener.serve().catch(stopTheStart);
    if (isWatcher || isDevelopment) void listener.poll();
    process.once("SIGTERM", () => void listener.stop());
  } catch (error) {
    stopTheStart(error);
  }
}

function declareActions(settings: Settings | undefined, listener: Listener | undefined): void {
  const namespaces = settings ? [settings.KUBE_NAMESPACE] : [];

  When(InferenceService)
    .IsCreatedOrUpdated()
    .InNamespace(...namespaces)
    .WithLabel(MANAGED_BY_LABEL, MANAGED_BY)
    .Watch(async service => await listener?.observer.changed(service));

  When(InferenceService)
    .IsCreatedOrUpdated()
    .InNamespace(...namespaces)
    .WithLabel(MANAGED_BY_LABEL, MANAGED_BY)
    .Validate(request => {
      const decision = admit(request.Raw.metadata ?? {}, request.OldResource?.metadata);
      return decision.allowed ? request.Approve() : request.Deny(decision.message, 403);
    });

  When(InferenceService)
    .IsDeleted()
    .InNamespace(...namespaces)
    .WithLabel(MANAGED_BY_LABEL, MANAGED_BY)
    .Watch(async service => await listener?.observer.deleted(service));

  OnSchedule({
    name: "poll-mlflow",
    every: settings?.POLLING_INTERVAL ?? 60,
    unit: "seconds",
    run: () => void listener?.poll(),
  });
}

/** A module that cannot work must not look as if it could: the pod restarts, and its last log line says why. */
function stopTheStart(error: unknown): never {
  peprLog.fatal(`mlflow-kserve cannot start: ${messageOf(error)}`);
  process.exit(1);
}
