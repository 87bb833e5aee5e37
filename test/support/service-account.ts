import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { dump } from "js-yaml";
import type { Kubectl } from "../testbed/kubectl";
import { kubeConfigFrom } from "./kube-config";
import type { KubernetesObject } from "./service-account-manifests";

/** The namespace that Pepr puts everything into, and where it keeps its own state. */
export const PEPR_NAMESPACE = "pepr-system";

/** What says who may do what. */
const ACCESS_KINDS = ["ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"];

/** A ServiceAccount in the cluster, with the rights that some manifests give it. */
export interface InstalledServiceAccount {
  /** Path of a kubeconfig with a token of it, valid for an hour. */
  readonly kubeconfig: string;
  /** As the API server names it. */
  readonly username: string;
  /** The name that an object of the manifests has in the cluster. */
  readonly nameOf: (name: string) => string;
  /** Removes all that was put into the cluster for it. */
  readonly remove: () => Promise<void>;
}

/**
 * Puts the ServiceAccount of some manifests, its roles and bindings into the cluster, rule by rule as they are, and gets
 * a token for it from the API server (TokenRequest). Names get a suffix of their own: the cluster may be one where the
 * module is installed, or where other tests run.
 *
 * @param namespaces other namespaces for those in the manifests
 * @param directory where the kubeconfig is written
 */
export async function installServiceAccount(
  manifests: readonly KubernetesObject[],
  options: {
    readonly kubectl: Kubectl;
    readonly administrator: string;
    readonly directory: string;
    readonly namespaces?: Readonly<Record<string, string>>;
  },
): Promise<InstalledServiceAccount> {
  const { kubectl, administrator, directory, namespaces = {} } = options;
  const suffix = randomBytes(3).toString("hex");
  const nameOf = (name: string): string => `${name}-${suffix}`;
  const named = (part: unknown): unknown => {
    const { name, namespace, ...rest } = part as Named;
    const elsewhere = namespace === undefined ? undefined : (namespaces[namespace] ?? namespace);
    return { ...rest, name: nameOf(name), ...(elsewhere === undefined ? {} : { namespace: elsewhere }) };
  };
  const objects = manifests
    .filter(({ kind }) => ACCESS_KINDS.includes(kind))
    .map(({ metadata, roleRef, subjects, rules, ...rest }) => ({
      ...rest,
      ...(rules === undefined ? {} : { rules: (rules as Rule[]).map(rule => aboutNamespaces(rule, namespaces)) }),
      metadata: named(metadata),
      ...(roleRef === undefined ? {} : { roleRef: named(roleRef) }),
      ...(subjects === undefined ? {} : { subjects: (subjects as unknown[]).map(named) }),
    }));
  const account = manifests.find(({ kind }) => kind === "ServiceAccount");
  if (account === undefined) throw new Error("The manifests have no ServiceAccount");

  const list = JSON.stringify({ apiVersion: "v1", kind: "List", items: objects });
  const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: PEPR_NAMESPACE } };
  // Server-side: several tests may do it at the same time.
  await kubectl(["apply", "--server-side", "-f", "-"], JSON.stringify(namespace));
  await kubectl(["apply", "--server-side", "-f", "-"], list);
  const name = nameOf(account.metadata.name);
  const token = await kubectl(["create", "token", name, "--namespace", PEPR_NAMESPACE, "--duration=1h"]);
  const kubeconfig = path.join(directory, `kubeconfig-${name}`);
  writeFileSync(kubeconfig, kubeconfigWith(administrator, token), { mode: 0o600 });
  return {
    kubeconfig,
    username: `system:serviceaccount:${PEPR_NAMESPACE}:${name}`,
    nameOf,
    async remove() {
      await kubectl(["delete", "--ignore-not-found", "--wait=false", "-f", "-"], list);
    },
  };
}

interface Named {
  readonly name: string;
  readonly namespace?: string;
}

interface Rule {
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
}

/** A rule about namespaces by name is about the others instead. */
function aboutNamespaces(rule: Rule, namespaces: Readonly<Record<string, string>>): Rule {
  const { resources, resourceNames } = rule;
  if (!resources.includes("namespaces") || resourceNames === undefined) return rule;
  return { ...rule, resourceNames: resourceNames.map(name => namespaces[name] ?? name) };
}

/** The same cluster as the administrator's, with nothing but a token. */
function kubeconfigWith(administrator: string, token: string): string {
  const cluster = kubeConfigFrom(administrator).getCurrentCluster();
  if (cluster === null) throw new Error(`${administrator} names no cluster`);
  const { server, caData, caFile } = cluster;
  const name = "service-account";
  const trust = caData === undefined ? { "certificate-authority": caFile } : { "certificate-authority-data": caData };
  return dump({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name, cluster: { server, ...trust } }],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    "current-context": name,
  });
}
