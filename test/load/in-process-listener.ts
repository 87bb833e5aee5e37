import { readConfiguration } from "../../capabilities/configuration/configuration";
import { connectToApiServer } from "../../capabilities/kubernetes/api-server";
import type { ApiServer } from "../../capabilities/kubernetes/api-server";
import { createListener } from "../../capabilities/module";
import type { Listener } from "../../capabilities/module";
import type { Log } from "../../capabilities/observability/logging";
import { kubeConfigFrom } from "../support/kube-config";

/** A log that keeps next to nothing, since what it kept would count as the module's memory. */
export interface CountingLog extends Log {
  /** How many lines there were, by message. */
  readonly lines: ReadonlyMap<string, number>;
  /** The cause that the first error line named, for the message of a failed check. */
  readonly firstError: () => string | undefined;
}

export function countingLog(): CountingLog {
  const lines = new Map<string, number>();
  let firstError: string | undefined;
  const count = (_fields: unknown, message?: unknown): void => {
    lines.set(String(message), (lines.get(String(message)) ?? 0) + 1);
  };
  const error = (fields: unknown, message?: unknown): void => {
    count(fields, message);
    firstError ??= String((fields as { readonly cause?: unknown }).cause);
  };
  return { debug: count, info: count, warn: count, error, lines, firstError: () => firstError };
}

/** The module without Pepr and without its endpoint, in this process: what the watcher polls with. */
export function createPoller(options: {
  readonly kubeconfig: string;
  readonly mlflowTrackingUri: string;
  readonly namespace: string;
  readonly deployTagKey: string;
  readonly log: Log;
  readonly wrapApiServer?: (apiServer: ApiServer) => ApiServer;
}): Listener {
  const apiServer = connectToApiServer(15_000, kubeConfigFrom(options.kubeconfig));
  return createListener({
    ...readConfiguration({
      MLFLOW_KSERVE_MLFLOW_TRACKING_URI: options.mlflowTrackingUri,
      MLFLOW_KSERVE_DISABLE_WEBHOOKS: "true",
      MLFLOW_KSERVE_KUBE_NAMESPACE: options.namespace,
      MLFLOW_KSERVE_DEPLOY_TAG_KEY: options.deployTagKey,
      // They are written beside the polls, whose cost is measured.
      MLFLOW_KSERVE_STATUS_TAGS: "false",
    }),
    apiServer: options.wrapApiServer?.(apiServer) ?? apiServer,
    log: options.log,
  });
}
