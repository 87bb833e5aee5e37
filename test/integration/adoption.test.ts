import { describe, expect, inject, it, vi } from "vitest";
import defaultTemplate from "../../templates/inference-service.yaml.txt";
import { hasApplied } from "../../capabilities/kserve/field-ownership";
import { FIELD_MANAGER } from "../../capabilities/kserve/inference-services";
import type { LiveInferenceService } from "../../capabilities/kserve/live-inference-service";
import { nameOf } from "../support/deployed-models";
import { createAsFastApiListener } from "../support/former-services";
import type { FormerVersion } from "../support/former-services";
import { startListener, uniqueModel } from "../support/listener-fixture";
import type { ListenerFixtureOptions, RunningListener } from "../support/listener-fixture";
import { openRegistry } from "../support/mlflow-registry";
import { countRequests, followDeployments, untilRolledOut } from "../support/predictor-deployments";
import { waitFor } from "../support/waiting";
import { createNamespace, testKubectl } from "../testbed/namespaces";

// KServe may be busy with what other tests have deployed.
vi.setConfig({ testTimeout: 300_000 });

const registry = openRegistry(inject("mlflowTrackingUri"));
const storageUri = "s3://models/x/";

/** Tagged versions with services that the FastAPI listener left. */
interface LeftBehind {
  readonly versions: readonly FormerVersion[];
  readonly tag: string;
  readonly namespace: string;
  readonly take: (
    settings?: Readonly<Record<string, string>>,
    options?: ListenerFixtureOptions,
  ) => Promise<RunningListener>;
}

/** @param onService what the services say about their versions, when it is not the truth */
async function leaveBehind(count: number, onService: Partial<FormerVersion> = {}): Promise<LeftBehind> {
  const tag = uniqueModel("deploy");
  const namespace = await createNamespace("adoption");
  const versions = await Promise.all(
    Array.from({ length: count }, async () => {
      const { runId } = await registry.createRun();
      const key = await registry.register(uniqueModel("adopted"), storageUri, { [tag]: "true" }, runId);
      return { key, runId, storageUri };
    }),
  );
  await createAsFastApiListener(
    versions.map(version => ({ ...version, ...onService })),
    namespace,
  );
  const take: LeftBehind["take"] = (settings = {}, options = {}) =>
    startListener({ namespace, ...options, settings: { DEPLOY_TAG_KEY: tag, ...settings } });
  return { versions, tag, namespace, take };
}

function first(versions: readonly FormerVersion[]): FormerVersion {
  const [version] = versions;
  if (version === undefined) throw new Error("There is no version");
  return version;
}

describe("services that the FastAPI listener left", () => {
  it("are taken over without a restart, followed, and removed when their tag is", async ({ onTestFinished }) => {
    const { versions, tag, namespace, take } = await leaveBehind(5);
    const { listener, services, deployed } = await take();
    await untilRolledOut(services, 5);
    const deployments = await followDeployments(namespace);
    onTestFinished(deployments.stop);
    const before = [...deployments.replicaSets];
    expect(before).toHaveLength(5);

    expect(await listener.poll()).toMatchObject({ tagged: 5, managed: 5, created: 0, failed: 0 });

    for (const { key } of versions) {
      const live = await services.get(nameOf(key));
      expect(live !== undefined && hasApplied(live, FIELD_MANAGER)).toBe(true);
      expect(live?.metadata.generation).toBe(1);
    }
    // KServe has seen all that was before when it has started one more.
    await registry.register(uniqueModel("adopted"), storageUri, { [tag]: "true" });
    expect(await listener.poll()).toMatchObject({ created: 1, updated: 0, outdated: 0 });
    await untilRolledOut(services, 6);
    expect([...deployments.replicaSets].slice(0, -1)).toEqual(before);

    const { key } = first(versions);
    await registry.deleteTag(key, tag);
    expect(await listener.poll()).toMatchObject({ deleted: 1, held: 0 });
    expect(await deployed()).not.toContain(nameOf(key));
  });

  it.each([
    { what: "with ADOPT_SERVICES=false", settings: { ADOPT_SERVICES: "false" }, runId: undefined },
    { what: "that say another run", settings: {}, runId: "0123456789abcdef0123456789abcdef" },
  ])("$what are somebody else's: neither changed nor removed", async ({ settings, runId }) => {
    const { versions, tag, namespace, take } = await leaveBehind(2, runId === undefined ? {} : { runId });
    const [patches, deletes] = [countRequests("PATCH"), countRequests("DELETE")];
    const wrapApiServer: ListenerFixtureOptions["wrapApiServer"] = apiServer =>
      patches.wrapApiServer(deletes.wrapApiServer(apiServer));
    const { listener, deliver, services } = await take(settings, { wrapApiServer });

    expect(await listener.poll()).toMatchObject({ failed: 2, updated: 0 });
    const { key } = first(versions);
    expect(await deliver(key)).toMatchObject({ status: 409 });
    await registry.deleteTag(key, tag);
    expect(await listener.poll()).toMatchObject({ deleted: 0 });
    await deliver(key, "deleted");

    expect([patches.count(), deletes.count()]).toEqual([0, 0]);
    expect((await services.get(nameOf(key)))?.metadata).toMatchObject({ annotations: { modelFormat: "mlflow" } });
    const event = await waitFor("the event", async () => {
      const found = ["get", "events", "-n", namespace, "--field-selector", "reason=NameTaken"];
      return (await testKubectl()([...found, "-o", "jsonpath={.items[*].message}"])) || undefined;
    });
    expect(event).toContain(nameOf(key));
  });

  it("are taken over without a restart where they say that there is no run, and where no slash ends the folder", async () => {
    const { versions, take } = await leaveBehind(2, { runId: "unknown", storageUri: storageUri.replace(/\/$/, "") });
    const { listener, services } = await take();
    await untilRolledOut(services, 2);
    for (let poll = 0; poll < 2; poll++) expect(await listener.poll()).toMatchObject({ failed: 0, outdated: 0 });
    for (const { key } of versions) {
      const live = await services.get(nameOf(key));
      expect(live !== undefined && hasApplied(live, FIELD_MANAGER)).toBe(true);
      expect(live?.metadata).toMatchObject({ generation: 1, labels: { "mlflow.run-id": "unknown" } });
    }
  });

  it("go through the rollout where their artifacts are elsewhere: told in a dry run, then a few at a time", async () => {
    const { versions, take } = await leaveBehind(3, { storageUri: "s3://models/elsewhere" });
    const storageUris = (live: readonly LiveInferenceService[]): unknown[] =>
      live.map(({ spec }) => (spec.predictor as { model: { storageUri: string } }).model.storageUri);
    const lookAt = async ({ services }: RunningListener): Promise<unknown[]> => {
      const found = await Promise.all(versions.map(({ key }) => services.get(nameOf(key))));
      return storageUris(found.filter(live => live !== undefined));
    };

    const dry = await take({ ROLLOUT_DRY_RUN: "true" });
    await untilRolledOut(dry.services, 3);
    expect(await dry.listener.poll()).toMatchObject({ updated: 0, outdated: 3, failed: 0 });
    expect(await lookAt(dry)).toEqual(Array(3).fill("s3://models/elsewhere"));
    expect(JSON.stringify(dry.logged)).toContain('storageUri: \\"s3://models/elsewhere\\" → \\"s3://models/x/\\"');
    await dry.listener.stop();

    const wet = await take({ ROLLOUT_MAX_UNAVAILABLE: "1" });
    expect(await wet.listener.poll()).toMatchObject({ updated: 1, outdated: 2, failed: 0 });
    expect((await lookAt(wet)).filter(uri => uri === storageUri)).toHaveLength(1);
  });

  it("are held when nobody tagged their versions, however few they are, and deleted when that time is over", async () => {
    const { versions, tag, take } = await leaveBehind(3);
    await registry.deleteTag(first(versions).key, tag);
    const { listener, logged, deployed } = await take();
    expect(await listener.poll()).toMatchObject({ tagged: 2, managed: 3, deleted: 0, held: 1 });
    expect(logged.map(({ message }) => message)).toContainEqual(
      expect.stringMatching(
        /^Deletion held: 1 of 3 services .*is not one that this module made.*mlflow.management=paused/,
      ),
    );
    expect(await deployed()).toHaveLength(3);
    await listener.stop();

    const impatient = await take({ DELETION_HOLD_MINUTES: "0" });
    expect(await impatient.listener.poll()).toMatchObject({ deleted: 1, held: 0 });
  });

  it("under another name are left alone, and told of beside the service that this module makes", async () => {
    const { versions, namespace, take } = await leaveBehind(1);
    const { key } = first(versions);
    const kubectl = testKubectl();
    const other = JSON.parse(
      await kubectl(["get", "inferenceservice", nameOf(key), "-n", namespace, "-o", "json"]),
    ) as { metadata: { labels: object }; spec: object };
    const metadata = { name: "named-otherwise", namespace, labels: other.metadata.labels };
    const object = { apiVersion: "serving.kserve.io/v1beta1", kind: "InferenceService", metadata, spec: other.spec };
    await kubectl(["create", "-f", "-"], JSON.stringify(object));
    const { listener, logged, deployed } = await take();
    await listener.poll();
    await listener.poll();
    const told = logged.filter(({ message }) => message.includes(`named-otherwise (here ${nameOf(key)})`));
    expect(told).toMatchObject([{ level: "warn" }]);
    expect((await deployed()).sort()).toEqual([nameOf(key), "named-otherwise"].sort());
  });

  it.each(["paused", "released"])("and that a person has %s are neither changed nor removed", async value => {
    const { versions, tag, namespace, take } = await leaveBehind(2);
    await testKubectl()(["annotate", "inferenceservices", "--all", "-n", namespace, `mlflow.management=${value}`]);
    const [patches, deletes] = [countRequests("PATCH"), countRequests("DELETE")];
    const { listener, deliver, url } = await take(
      { INFERENCE_SERVICE_TEMPLATE: defaultTemplate.replace("  predictor:\n", "  predictor:\n    minReplicas: 2\n") },
      { wrapApiServer: apiServer => patches.wrapApiServer(deletes.wrapApiServer(apiServer)) },
    );

    expect(await listener.poll()).toMatchObject({ updated: 0, outdated: 0, failed: 0 });
    const { key } = first(versions);
    expect((await deliver(key)).body).toMatchObject({ action: "ignored" });
    await registry.deleteTag(key, tag);
    expect(await listener.poll()).toMatchObject({ deleted: 0, held: 0 });
    expect((await deliver(key, "deleted")).body).toMatchObject({ action: "ignored" });

    expect([patches.count(), deletes.count()]).toEqual([0, 0]);
    const { services } = (await (await fetch(`${url}/services`)).json()) as { services: object[] };
    expect(services).toContainEqual(expect.objectContaining({ name: nameOf(key), management: value }));
  });
});
