import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { ENDPOINT_SERVICE } from "../../capabilities/kubernetes/provided-objects";
import type { ApiServer, ApiServerRequest } from "../../capabilities/kubernetes/api-server";
import { createKustomizeWorkspace } from "../install/kustomize-workspace";
import { installServiceAccount, PEPR_NAMESPACE } from "../support/service-account";
import type { InstalledServiceAccount } from "../support/service-account";
import { describeAccess, grantedIn, isAllowed } from "../support/service-account-access";
import type { Access } from "../support/service-account-access";
import { forbiddenRequests } from "../support/service-account-forbidden";
import { connect, liveThrough, openWorld, PATIENCE, TARGET } from "../support/service-account-life";
import type { World } from "../support/service-account-life";
import { generatedManifests, readManifests } from "../support/service-account-manifests";
import type { KubernetesObject } from "../support/service-account-manifests";
import { waitFor } from "../support/waiting";
import { run } from "../testbed/commands";
import { kubectlFor } from "../testbed/kubectl";
import { createNamespace, testKubectl } from "../testbed/namespaces";

let generated: KubernetesObject[];
let narrowed: KubernetesObject[];
let foreign: string;

beforeAll(async () => {
  [generated, foreign] = await Promise.all([generatedManifests(), createNamespace("foreign")]);
  narrowed = await narrowedManifests();
}, 600_000);

/** The manifests with the component that SECURITY.md recommends. */
async function narrowedManifests(): Promise<KubernetesObject[]> {
  const workspace = await createKustomizeWorkspace();
  const overlay = workspace.mixing(["one-namespace"], ["target-namespace"]);
  const { stdout } = await run(inject("kubectl"), ["kustomize", overlay]);
  workspace.remove();
  return readManifests(stdout);
}

function withoutNamespace({ verb, group, resource, subresource, name }: Access): Access {
  const part = subresource === undefined ? {} : { subresource };
  return { verb, group, resource, ...part, ...(name === undefined ? {} : { name }) };
}

async function refusalOf(apiServer: ApiServer, request: ApiServerRequest): Promise<unknown> {
  return await apiServer(request).then(
    ({ status }) => ({ status }),
    (error: unknown) => error,
  );
}

describe.each([
  { form: "as `pepr build` generates it", manifests: () => generated },
  { form: "narrowed by k8s/components/one-namespace", manifests: () => narrowed },
])("the ServiceAccount $form", ({ manifests }) => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld(manifests());
    await liveThrough(world);
  }, 600_000);

  afterAll(async () => {
    await Promise.all(world.replicas.map(replica => replica.kill()));
    await testKubectl()(["delete", "service", ENDPOINT_SERVICE, "-n", PEPR_NAMESPACE, "--ignore-not-found"]);
    await world.proxy.close();
    await world.account.remove();
  });

  it("may do all that the module does", async () => {
    const refused: string[] = [];
    for (const [what, access] of world.asked) if (!(await isAllowed(world.apiServer, access))) refused.push(what);

    expect(refused).toEqual([]);
    const lines = world.replicas.flatMap(({ logged }) => logged.map(line => JSON.stringify(line)));
    expect(lines.filter(line => /forbidden|may not be read/i.test(line))).toEqual([]);
  });

  it("may do nothing that the module does not", async () => {
    // Where something was done is another question: here only what, and to which names.
    const used = new Set([...world.asked.values()].map(access => describeAccess(withoutNamespace(access))));
    const usedByName = (line: string): boolean =>
      used.has(line) || [...used].some(one => one.startsWith(`${line} named `));
    const granted = (
      await Promise.all([world.namespace, PEPR_NAMESPACE].map(one => grantedIn(world.apiServer, one)))
    ).flat();

    expect(new Set(granted).size).toBeGreaterThan(10);
    expect(granted.filter(line => !usedByName(line))).toEqual([]);
  });

  it("is refused what others have", async () => {
    for (const [what, request, refusal] of forbiddenRequests(foreign)) {
      const answer = await refusalOf(world.apiServer, request);
      expect(answer, what).toMatchObject({ status: 403 });
      expect(String(answer), what).toContain(refusal);
    }
  });

  it("cannot act as somebody else", async () => {
    const kubectl = kubectlFor(inject("kubectl"), world.account.kubeconfig, inject("logDirectory"));
    // Everybody may see the version, but not as somebody else.
    await expect(kubectl(["get", "--raw=/version"])).resolves.toContain("gitVersion");
    await expect(kubectl(["get", "--raw=/version", "--as=system:admin"])).rejects.toThrow("Forbidden");
    for (const verb of ["escalate", "bind"]) {
      const access = { verb, group: "rbac.authorization.k8s.io", resource: "clusterroles" };
      expect(await isAllowed(world.apiServer, access), verb).toBe(false);
    }
  });
});

describe("other namespaces", () => {
  const access = (verb: string, name?: string): Access => ({
    verb,
    group: "serving.kserve.io",
    resource: "inferenceservices",
    namespace: foreign,
    ...(name === undefined ? {} : { name }),
  });
  const secret = (): Access => ({
    verb: "get",
    group: "",
    resource: "secrets",
    namespace: foreign,
    name: "mlflow-webhook-secret",
  });
  let accounts: InstalledServiceAccount[];

  beforeAll(async () => {
    const options = { kubectl: testKubectl(), administrator: inject("kubeconfig"), directory: inject("logDirectory") };
    const namespaces = { [TARGET]: await createNamespace("target") };
    accounts = await Promise.all([
      installServiceAccount(generated, options),
      installServiceAccount(narrowed, { ...options, namespaces }),
    ]);
  });
  afterAll(() => Promise.all(accounts.map(account => account.remove())));

  it.each([
    ["are open to the account that is generated, which SECURITY.md warns of", 0, ["get", "create", "patch", "delete"]],
    ["are closed to the narrowed one, but for what Pepr's watch reads", 1, []],
  ])("%s", async (_, account, writable) => {
    const apiServer = connect(accounts[account]?.kubeconfig ?? "");
    await waitFor("the rights", async () => (await isAllowed(apiServer, access("watch"))) || undefined, PATIENCE);

    const verbs = ["get", "create", "patch", "delete"];
    const allowed = await Promise.all(verbs.map(verb => isAllowed(apiServer, access(verb, "any"))));

    expect(verbs.filter((_verb, at) => allowed[at])).toEqual(writable);
    expect(await isAllowed(apiServer, access("list"))).toBe(true);
    expect(await isAllowed(apiServer, secret())).toBe(writable.length > 0);
  });
});

describe("the pods", () => {
  it("meet Pod Security's baseline, and lack only a seccomp profile for restricted", async () => {
    const pods = generated
      .filter(({ kind }) => kind === "Deployment")
      .map(({ metadata, spec }) => ({ metadata, template: (spec as { template: { spec: object } }).template }));
    expect(pods).toHaveLength(2);
    for (const level of ["baseline", "restricted"]) {
      const namespace = await createNamespace(level);
      const enforce = `pod-security.kubernetes.io/enforce=${level}`;
      await testKubectl()(["label", "namespace", namespace, enforce]);
      await testKubectl()(["create", "serviceaccount", "pepr-mlflow-kserve", "-n", namespace]);
      for (const { metadata, template } of pods) {
        // Its priority is allowed in the namespaces that the administrator chose; it is not what is asked here.
        const spec = { ...template.spec, priorityClassName: undefined };
        const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: metadata.name, namespace }, spec };
        const created = testKubectl()(["create", "--dry-run=server", "-f", "-"], JSON.stringify(pod));
        if (level === "baseline") await expect(created).resolves.toContain("created");
        else
          await expect(created).rejects.toThrow(/violates PodSecurity "restricted:latest": seccompProfile \([^:]*$/m);
      }
    }
  });
});
