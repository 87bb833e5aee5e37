import { dump, load } from "js-yaml";
import { z } from "zod";
import type { Certificates } from "./certificates";

/** The name of the cluster, its user and its context: by it a kubeconfig of a testbed is known. */
const NAME = "mlflow-kserve-testbed";

/** A kubeconfig for the administrator of the test cluster; everything is in it, no other file is needed. */
export function kubeconfigText(server: string, { authority, administrator }: Certificates): string {
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  const name = NAME;
  return dump({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name, cluster: { server, "certificate-authority-data": base64(authority.certificate) } }],
    users: [
      {
        name,
        user: {
          "client-certificate-data": base64(administrator.certificate),
          "client-key-data": base64(administrator.privateKey),
        },
      },
    ],
    contexts: [{ name, context: { cluster: name, user: name, namespace: "default" } }],
    "current-context": name,
  });
}

const TESTBED_KUBECONFIG = z.object({
  "current-context": z.literal(NAME),
  clusters: z.tuple([
    z.object({ name: z.literal(NAME), cluster: z.object({ server: z.url({ hostname: /^127\.0\.0\.1$/ }) }) }),
  ]),
});

/** Whether a kubeconfig is one that {@link kubeconfigText} wrote, and so leads to a cluster that is there for tests. */
export function isTestbedKubeconfig(text: string): boolean {
  try {
    return TESTBED_KUBECONFIG.safeParse(load(text)).success;
  } catch {
    return false; // no YAML
  }
}
