import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { dump, load } from "js-yaml";
import { inject } from "vitest";
import { testKubectl } from "../testbed/namespaces";

const NAME = "fault-module";

/** An account of its own for the module, with rights that can be taken and given back. */
export interface ServiceAccount {
  /** Path of a kubeconfig with the account's own token. */
  readonly kubeconfig: string;
  takeRights: () => Promise<void>;
  giveRights: () => Promise<void>;
}

/** Makes a ServiceAccount in a namespace, with what the module needs there. */
export async function createServiceAccount(namespace: string): Promise<ServiceAccount> {
  const kubectl = testKubectl();
  const create = async (...objects: readonly object[]): Promise<void> => {
    const list = { apiVersion: "v1", kind: "List", items: objects };
    await kubectl(["apply", "--server-side", "-f", "-"], JSON.stringify(list));
  };
  const metadata = { name: NAME, namespace };
  const verbs = ["get", "list", "create", "patch", "delete"];
  const rules = [
    { apiGroups: ["serving.kserve.io"], resources: ["inferenceservices"], verbs },
    { apiGroups: [""], resources: ["events"], verbs: ["create"] },
  ];
  const binding = {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "RoleBinding",
    metadata,
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: NAME },
    subjects: [{ kind: "ServiceAccount", ...metadata }],
  };
  await create(
    { apiVersion: "v1", kind: "ServiceAccount", metadata },
    { apiVersion: "rbac.authorization.k8s.io/v1", kind: "Role", metadata, rules },
    binding,
  );
  const token = await kubectl(["create", "token", NAME, `--namespace=${namespace}`]);
  const config = load(readFileSync(inject("kubeconfig"), "utf8")) as { users: { name: string; user: object }[] };
  config.users = config.users.map(({ name }) => ({ name, user: { token } }));
  const kubeconfig = path.join(inject("logDirectory"), `kubeconfig-of-${namespace}`);
  writeFileSync(kubeconfig, dump(config), { mode: 0o600 });
  return {
    kubeconfig,
    async takeRights() {
      await kubectl(["delete", "rolebinding", NAME, `--namespace=${namespace}`]);
    },
    giveRights: () => create(binding),
  };
}
