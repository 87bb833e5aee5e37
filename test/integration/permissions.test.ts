import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { gatherVariables } from "../../capabilities/cluster-variables";
import { completeInstallation } from "../../capabilities/installation/installation";
import { ENDPOINT_SERVICE } from "../../capabilities/installation/provided-objects";
import { connectToApiServer } from "../../capabilities/kserve/api-server";
import type { ApiServer, ApiServerRequest } from "../../capabilities/kserve/api-server";
import { MANAGED_BY, MANAGED_BY_LABEL } from "../../capabilities/kserve/identity";
import { createInferenceServices } from "../../capabilities/kserve/inference-services";
import type { InferenceServices } from "../../capabilities/kserve/inference-services";
import { readOwnUsername } from "../../capabilities/kserve/own-identity";
import { startApiServerProxy } from "../support/api-server-proxy";
import type { ApiServerProxy } from "../support/api-server-proxy";
import { ask, eventOf, signed } from "../support/asking";
import { kubeConfigFrom } from "../support/kube-config";
import { SECRET, uniqueModel } from "../support/listener-fixture";
import { openRegistry } from "../support/mlflow-registry";
import { installPeprStore } from "../support/pepr-store";
import { createReplica } from "../support/replica";
import type { Replica, ReplicaRole } from "../support/replica";
import { installServiceAccount, PEPR_NAMESPACE } from "../support/service-account";
import type { InstalledServiceAccount } from "../support/service-account";
import { accessesOf, describeAccess, grantedIn, isAllowed } from "../support/service-account-access";
import type { Access } from "../support/service-account-access";
import { forbiddenRequests } from "../support/service-account-forbidden";
import { generatedManifests, readManifests } from "../support/service-account-manifests";
import type { KubernetesObject } from "../support/service-account-manifests";
import { recordingLog } from "../support/unit/recording-log";
import { waitFor } from "../support/waiting";
import { kubectlFor } from "../testbed/kubectl";
import { createKustomizeWorkspace } from "../install/kustomize-workspace";
import { run } from "../testbed/commands";
import { createNamespace, testKubectl } from "../testbed/namespaces";

const SERVICES = "serving.kserve.io/inferenceservices";
type LiveInferenceService = NonNullable<Awaited<ReturnType<InferenceServices["get"]>>>;

/** The target namespace in the manifests, which is the settings' default. */
const TARGET = "kserve-mlflow-models";

/** Milliseconds to wait for what other processes do. */
const PATIENCE = 120_000;

const registry = openRegistry(inject("mlflowTrackingUri"));
const connect = (kubeconfig: string): ApiServer => connectToApiServer(15_000, kubeConfigFrom(kubeconfig));

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

/** The module's processes with the token of a ServiceAccount, and a record of all that they ask the API server. */
interface World {
  readonly account: InstalledServiceAccount;
  readonly namespace: string;
  /** The API server, as the ServiceAccount. */
  readonly apiServer: ApiServer;
  readonly proxy: ApiServerProxy;
  /** What was asked, once each, by its description. */
  readonly asked: ReadonlyMap<string, Access>;
  /** Its processes, as they were started. */
  readonly replicas: Replica[];
}

async function openWorld(manifests: readonly KubernetesObject[]): Promise<World> {
  const namespace = await createNamespace("target");
  const service = manifests.find(({ kind, metadata }) => kind === "Service" && metadata.name === ENDPOINT_SERVICE);
  // What the manifests do not bring, the module provides; the namespace is then one that it made.
  if (service === undefined)
    await testKubectl()(["label", "namespace", namespace, `${MANAGED_BY_LABEL}=${MANAGED_BY}`]);
  else await testKubectl()(["apply", "-f", "-"], JSON.stringify(service));
  const directory = inject("logDirectory");
  const account = await installServiceAccount(manifests, {
    kubectl: testKubectl(),
    administrator: inject("kubeconfig"),
    directory,
    namespaces: { [TARGET]: namespace },
  });
  const apiServer = connect(account.kubeconfig);
  // The API server learns of new roles a moment after they were made.
  const access = { verb: "create", group: "serving.kserve.io", resource: "inferenceservices", namespace };
  await waitFor("the rights", async () => (await isAllowed(apiServer, access)) || undefined, PATIENCE);
  const proxy = await startApiServerProxy({ kubeconfig: account.kubeconfig, directory });
  const asked = new Map<string, Access>();
  proxy.fault = request => {
    for (const one of accessesOf(request)) asked.set(describeAccess(one), one);
    return undefined;
  };
  return { account, namespace, apiServer, proxy, asked, replicas: [] };
}

/** Has the module do all that it ever does, in the two roles that its pods have. */
async function liveThrough({ proxy, namespace, account, asked, replicas }: World): Promise<void> {
  // What Pepr's controller does before it starts the module.
  await installPeprStore(testKubectl(), proxy.kubeconfig);
  const { log, lines } = recordingLog();
  const template = { MLFLOW_KSERVE_INFERENCE_SERVICE_TEMPLATE: "mlflow-kserve-template/text" };
  await gatherVariables(template, connect(proxy.kubeconfig), PEPR_NAMESPACE, log);
  expect(await readOwnUsername(connect(proxy.kubeconfig), log)).toBe(account.username);
  await completeInstallation({
    apiServer: connect(proxy.kubeconfig),
    log,
    namespace: PEPR_NAMESPACE,
    targetNamespace: namespace,
    endpoint: { port: 8000, isHttps: false },
  });
  expect(lines.filter(({ level }) => level === "warn" || level === "error")).toEqual([]);

  const settings = {
    MLFLOW_TRACKING_URI: inject("mlflowTrackingUri"),
    MLFLOW_WEBHOOK_SECRET: SECRET,
    KUBE_NAMESPACE: namespace,
    LOG_LEVEL: "DEBUG",
  };
  const start = async (role: ReplicaRole): Promise<Replica> => {
    const name = `permissions-${role}-${namespace}`;
    const options = { name, role, settings, kubeconfig: proxy.kubeconfig, logDirectory: inject("logDirectory") };
    const replica = await createReplica(options);
    replicas.push(replica);
    await replica.start();
    return replica;
  };
  const [, endpoint] = await Promise.all([start("watcher"), start("endpoint")]);
  const deliver = async (model: string): Promise<unknown> => {
    const body = eventOf(model);
    const { status, json } = await ask(endpoint.url, "/webhook", "POST", signed(body), body);
    return { status, action: json.action };
  };
  const key = await registry.register(uniqueModel("permitted"), "s3://models/x", { deploy: "true" });
  const name = `mlflow-${key.model}-v1`;
  const services = createInferenceServices(connect(inject("kubeconfig")), namespace);
  const live = (is: (service: LiveInferenceService) => boolean): Promise<LiveInferenceService> =>
    waitFor(
      "the service",
      async () => {
        const service = await services.get(name);
        return service !== undefined && service.metadata.deletionTimestamp === undefined && is(service)
          ? service
          : undefined;
      },
      PATIENCE,
    );

  expect(await deliver(key.model)).toEqual({ status: 200, action: "created" });
  const first = await live(() => true);
  // Pepr reads its stores some seconds after its start, one after the other.
  for (const watched of [SERVICES, `pepr.dev/peprstores in ${PEPR_NAMESPACE} named pepr-mlflow-kserve-schedule`]) {
    const isWatched = (): boolean => [...asked.keys()].some(one => one.startsWith(`watch ${watched}`));
    await waitFor(`Pepr's watch of ${watched}`, () => isWatched() || undefined, PATIENCE);
  }
  const source = { spec: { predictor: { model: { storageUri: "s3://somebody/else" } } } };
  await testKubectl()(["patch", "isvc", name, "-n", namespace, "--type=merge", "-p", JSON.stringify(source)]);
  await live(({ spec }) => JSON.stringify(spec).includes("s3://models/x"));
  // Made again within moments, it would be waited for without an end.
  await testKubectl()(["delete", "isvc", name, "-n", namespace, "--wait=false"]);
  await live(({ metadata }) => metadata.uid !== first.metadata.uid);
  await registry.deleteTag(key, "deploy");
  expect(await deliver(key.model)).toMatchObject({ status: 200 });
  await waitFor("its end", async () => (await services.get(name)) === undefined || undefined, PATIENCE);
  await waitFor("the Events", () => asked.has(`create events in ${namespace}`) || undefined, PATIENCE);
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
