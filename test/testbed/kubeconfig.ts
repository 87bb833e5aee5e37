import { dump } from "js-yaml";
import type { Certificates } from "./certificates";

/** A kubeconfig for the administrator of the test cluster; everything is in it, no other file is needed. */
export function kubeconfigText(server: string, { authority, administrator }: Certificates): string {
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  const name = "mlflow-kserve-testbed";
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
