import * as z from "zod";
import type { ApiServer } from "../kubernetes/api-server";
import { messageOf } from "../observability/logging";
import type { Log } from "../observability/logging";

/** KServe's own configuration, in its namespace. */
export const KSERVE_CONFIGURATION = "inferenceservice-config";

const configMap = z.object({ data: z.record(z.string(), z.string()).default({}) });

/** What of KServe's configuration (IngressConfig in configmap.go) decides whether an external address leads anywhere. */
const ingressConfiguration = z.object({
  disableIngressCreation: z.boolean().default(false),
  ingressDomain: z.string().default(""),
});

export type IngressConfiguration = z.output<typeof ingressConfiguration>;

/** Milliseconds from one reading to the next: it seldom changes, and is one small object. */
const READ_EVERY = 600_000;

/** KServe's configuration as it was read last. */
export interface IngressConfigurationReader {
  /** undefined as long as it could not be read. */
  readonly current: () => IngressConfiguration | undefined;
  /** Reads it now where it is not known, once for all who ask, and again and again from then on. Never rejects. */
  readonly start: () => Promise<void>;
  readonly stop: () => void;
}

/** @param namespace KServe's */
export function createIngressConfigurationReader(
  apiServer: ApiServer,
  namespace: string,
  log: Log,
): IngressConfigurationReader {
  let current: IngressConfiguration | undefined;
  let told: string | undefined;
  let reading: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  const read = async (): Promise<void> => {
    try {
      current = await readIngressConfiguration(apiServer, namespace);
      told = undefined;
    } catch (error) {
      const cause = messageOf(error);
      if (cause !== told) log.warn({ cause }, UNREADABLE);
      told = cause;
    }
  };

  return {
    current: () => current,
    start() {
      timer ??= setInterval(() => void read(), READ_EVERY).unref();
      if (current !== undefined) return Promise.resolve();
      return (reading ??= read().finally(() => {
        reading = undefined;
      }));
    },
    stop() {
      clearInterval(timer);
    },
  };
}

const UNREADABLE =
  "KServe's configuration cannot be read, so addresses in the cluster are shown: set MLFLOW_KSERVE_KSERVE_NAMESPACE, or say " +
  "with MLFLOW_KSERVE_SERVING_URL which address people use";

/**
 * Reads whether KServe makes ingresses.
 *
 * @param namespace KServe's
 * @throws KubernetesError when it cannot be read, and an Error when it cannot be understood
 */
async function readIngressConfiguration(apiServer: ApiServer, namespace: string): Promise<IngressConfiguration> {
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps/${KSERVE_CONFIGURATION}`;
  const { data } = configMap.parse((await apiServer({ method: "GET", path })).body);
  return ingressConfiguration.parse(JSON.parse(data.ingress ?? "{}"));
}
