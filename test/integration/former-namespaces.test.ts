import { beforeAll, describe, expect, inject, it } from "vitest";
import { inferenceServiceName } from "../../capabilities/kserve/names";
import { isReady } from "../../capabilities/kserve/service-state";
import { connectToApiServer } from "../../capabilities/kubernetes/api-server";
import type { ApiServer } from "../../capabilities/kubernetes/api-server";
import { createInferenceServices } from "../../capabilities/kserve/inference-services";
import type { ModelVersionKey } from "../../capabilities/support/model-version-key";
import { kubeConfigFrom } from "../support/kube-config";
import { startListener, uniqueModel } from "../support/listener-fixture";
import type { RunningListener } from "../support/listener-fixture";
import { openRegistry } from "../support/mlflow-registry";
import { waitFor } from "../support/waiting";
import { testKubectl } from "../testbed/namespaces";

const registry = openRegistry(inject("mlflowTrackingUri"));
const cluster = connectToApiServer(15_000, kubeConfigFrom(inject("kubeconfig")));

interface Former {
  readonly tag: string;
  readonly namespace: string;
  readonly keys: readonly ModelVersionKey[];
}

/** An installation whose KUBE_NAMESPACE is about to be changed: three versions are served, the last is tagged no more. */
async function formerInstallation(): Promise<Former> {
  const tag = uniqueModel("former");
  const keys = await Promise.all(
    ["a", "b", "c"].map(name => registry.register(uniqueModel(name), "s3://models/x", { [tag]: "true" })),
  );
  const { listener, namespace } = await startListener({ settings: { DEPLOY_TAG_KEY: tag } });
  expect(await listener.poll()).toMatchObject({ created: 3 });
  await listener.stop();
  const last = keys.at(-1);
  if (last !== undefined) await registry.deleteTag(last, tag);
  return { tag, namespace, keys };
}

/** What is in a namespace, by name, apart from what is on its way out. */
async function namesIn(namespace: string): Promise<string[]> {
  const { items } = await createInferenceServices(cluster, namespace).listPage(500);
  return items
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .map(({ metadata }) => metadata.name)
    .sort();
}

/** The installation after the change; it looks when it has polled. */
async function changed(
  { tag, namespace }: Former,
  settings: Readonly<Record<string, string>>,
  wrapApiServer?: (apiServer: ApiServer) => ApiServer,
): Promise<RunningListener> {
  const running = await startListener({
    settings: { DEPLOY_TAG_KEY: tag, POLLING_INTERVAL: "10", FORMER_NAMESPACES: namespace, ...settings },
    ...(wrapApiServer === undefined ? {} : { wrapApiServer }),
  });
  running.listener.startPolling();
  return running;
}

const warningOf = ({ logged }: RunningListener): Promise<string> =>
  waitFor(
    "the warning",
    () => logged.find(({ level, message }) => level === "warn" && message.includes("other namespaces"))?.message,
  );

describe("after a change of KUBE_NAMESPACE", () => {
  let kept: Former;
  beforeAll(async () => {
    kept = await formerInstallation();
  });

  it("tells of what is elsewhere and touches nothing, by default", async () => {
    // Neither is the former namespace named.
    const running = await changed(kept, { FORMER_NAMESPACES: "" });
    const names = kept.keys.map(key => inferenceServiceName(key, kept.namespace)).sort();

    // Other tests have services in this cluster, too: those of all namespaces come before what is to be done about them.
    const warning = await warningOf(running);
    expect(warning).toContain(`${kept.namespace} has 3 (${names.join(", ")})`);
    expect(warning).toContain("nobody looks after them");
    const event = await waitFor("the event", async () => {
      const args = ["get", "events", "-n", running.namespace, "--field-selector", "reason=ServicesElsewhere"];
      return (await testKubectl()([...args, "-o", "jsonpath={.items[*].message}"])) || undefined;
    });
    expect(event).toContain("InferenceServices are in other namespaces than");
    const metrics = await (await fetch(`${running.url}/metrics`)).text();
    // Other tests have installations of their own in this cluster.
    expect(Number(/^inference_services_elsewhere (\d+)$/m.exec(metrics)?.[1])).toBeGreaterThanOrEqual(3);
    expect(await namesIn(kept.namespace)).toEqual(names);
  });

  it("moves each service when its successor is Ready, and leaves what is tagged no more", async () => {
    const former = await formerInstallation();
    const wereReady: unknown[] = [];
    let target = "";
    const running = await changed(former, { FORMER_NAMESPACE_SERVICES: "move" }, apiServer => async request => {
      const [, name] = new RegExp(`/${former.namespace}/inferenceservices/(.+)$`).exec(request.path) ?? [];
      if (request.method === "DELETE" && name !== undefined) {
        const key = former.keys.find(one => inferenceServiceName(one, former.namespace) === name);
        const successor =
          key && (await createInferenceServices(cluster, target).get(inferenceServiceName(key, target)));
        wereReady.push(successor && isReady(successor));
      }
      return await apiServer(request);
    });
    target = running.namespace;
    const [, , left] = former.keys.map(key => inferenceServiceName(key, former.namespace));

    await waitFor("the move", async () => ((await namesIn(former.namespace)).length === 1 ? true : undefined));
    expect(await namesIn(former.namespace)).toEqual([left]);
    expect(wereReady).toEqual([true, true]);
    expect(await namesIn(target)).toHaveLength(2);
    expect(await warningOf(running)).toContain("left, because MLflow does not want these versions served any more");
  });

  it("removes at once what is beyond doubt ours, where it is told to", async () => {
    const former = await formerInstallation();
    const kubectl = testKubectl();
    const [copied = ""] = await namesIn(former.namespace);
    const copy = JSON.parse(await kubectl(["get", "isvc", copied, "-n", former.namespace, "-o", "json"])) as {
      metadata: { labels: object; annotations: object };
      spec: object;
    };
    const { labels, annotations } = copy.metadata;
    const metadata = { name: "a-copy", namespace: former.namespace, labels, annotations };
    await kubectl(["apply", "-f", "-"], JSON.stringify({ ...copy, metadata, status: undefined }));

    const running = await changed(former, { FORMER_NAMESPACE_SERVICES: "remove" });

    await waitFor("the removal", async () => ((await namesIn(former.namespace)).length === 1 ? true : undefined));
    expect(await namesIn(former.namespace)).toEqual(["a-copy"]);
    expect(await warningOf(running)).toContain(
      `${former.namespace} has 1 (a-copy): left, because they carry our label`,
    );
    expect(await namesIn(running.namespace)).toHaveLength(2);
    expect(await namesIn(kept.namespace)).toHaveLength(3);
  });
});
