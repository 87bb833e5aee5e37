import * as z from "zod";
import type { ApiServer } from "../kubernetes/api-server";

/** KServe's own configuration, in its namespace. */
export const KSERVE_CONFIGURATION = "inferenceservice-config";

const configMap = z.object({ data: z.record(z.string(), z.string()).default({}) });

/** What of KServe's configuration (IngressConfig in configmap.go) decides whether an external address leads anywhere. */
const ingressConfiguration = z.object({
  disableIngressCreation: z.boolean().default(false),
  ingressDomain: z.string().default(""),
});

export type IngressConfiguration = z.output<typeof ingressConfiguration>;

/**
 * Reads whether KServe makes ingresses.
 *
 * @param namespace KServe's
 * @throws KubernetesError when it cannot be read, and an Error when it cannot be understood
 */
export async function readIngressConfiguration(apiServer: ApiServer, namespace: string): Promise<IngressConfiguration> {
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps/${KSERVE_CONFIGURATION}`;
  const { data } = configMap.parse((await apiServer({ method: "GET", path })).body);
  return ingressConfiguration.parse(JSON.parse(data.ingress ?? "{}"));
}
