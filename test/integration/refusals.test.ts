import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import type { ModelVersionKey } from "../../capabilities/support/model-version-key";
import { startListener, uniqueModel } from "../support/listener-fixture";
import { openRegistry } from "../support/mlflow-registry";
import type { RecordedLine } from "../support/unit/recording-log";
import { waitFor } from "../support/waiting";
import { startMlflow } from "../testbed";
import { run } from "../testbed/commands";
import { createNamespace, testKubectl } from "../testbed/namespaces";

const registry = openRegistry(inject("mlflowTrackingUri"));

interface KubernetesEvent {
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  readonly involvedObject: { readonly name: string };
  readonly source: { readonly component: string };
}

/** The warnings of the module in a namespace, once there are some. */
async function warningsIn(namespace: string): Promise<KubernetesEvent[]> {
  return await waitFor("the Event", async () => {
    const text = await testKubectl()(["get", "events", "-n", namespace, "-o", "json"]);
    const { items } = JSON.parse(text) as { items: KubernetesEvent[] };
    const warnings = items.filter(({ type, source }) => type === "Warning" && source.component === "mlflow-kserve");
    return warnings.length > 0 ? warnings : undefined;
  });
}

/** What an operator sees, who does not log for debugging. */
function seen(logged: readonly RecordedLine[]): string[] {
  return logged
    .filter(({ level }) => level === "error" || level === "warn")
    .map(({ level, message }) => `${level} ${message}`);
}

function templateInMode(mode: string): string {
  return `apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  annotations:
    serving.kserve.io/deploymentMode: ${mode}
spec:
  predictor:
    model:
      modelFormat:
        name: mlflow
      protocolVersion: v2
      storageUri: "{{storage_uri}}"
`;
}

describe("an update that KServe's admission refuses", () => {
  it("is told in an Event with the cure, which is one", async () => {
    const namespace = await createNamespace("refused");
    const settings = { DEPLOY_TAG_KEY: uniqueModel("deploy") };
    const inMode = (mode: string): ReturnType<typeof startListener> =>
      startListener({ namespace, settings: { ...settings, INFERENCE_SERVICE_TEMPLATE: templateInMode(mode) } });
    const key = await registry.register(uniqueModel("mode"), "s3://models/x", { [settings.DEPLOY_TAG_KEY]: "true" });
    const before = await inMode("Standard");
    expect((await before.deliver(key)).status).toBe(200);
    await before.listener.idle();
    await before.listener.stop();
    // Until KServe's controller has written the mode down, its admission lets it be changed.
    const mode = ["get", "inferenceservice", `mlflow-${key.model}-v1`, "-o", "jsonpath={.status.deploymentMode}"];
    await waitFor("the mode", async () => (await testKubectl()([...mode, "-n", namespace])) || undefined);

    const { listener, logged } = await inMode("Knative");
    expect(await listener.poll()).toMatchObject({ updated: 0, failed: 1 });
    expect(await listener.poll()).toMatchObject({ updated: 0, failed: 1 });

    const cure = `kubectl delete inferenceservice mlflow-${key.model}-v1 --namespace ${namespace}`;
    const [warning, ...more] = await warningsIn(namespace);
    expect(more).toEqual([]);
    expect(warning).toMatchObject({
      reason: "RejectedByAdmission",
      involvedObject: { name: `mlflow-${key.model}-v1` },
    });
    expect(warning?.message).toContain("from Standard to Knative");
    expect(warning?.message).toContain(`(${cure})`);
    expect(seen(logged)).toEqual([
      "error Model version cannot be served until somebody changes something",
      "warn 1 version cannot be served: 1 rejected",
    ]);

    const described = await testKubectl()(["describe", "inferenceservice", `mlflow-${key.model}-v1`, "-n", namespace]);
    expect(described).toContain("RejectedByAdmission");

    await testKubectl()(cure.split(" ").slice(1));
    expect(await listener.poll()).toMatchObject({ created: 1, failed: 0 });
    expect(logged.map(({ message }) => message)).toContain("Model version is served again");
  });
});

describe("versions that cannot be served", () => {
  it("cost a line each, and one for all, however often they are polled", async () => {
    const tag = uniqueModel("deploy");
    const keys: ModelVersionKey[] = [];
    for (let count = 0; count < 5; count++)
      keys.push(await registry.register(uniqueModel("bad"), "dbfs:/x", { [tag]: "true" }));
    const { listener, logged } = await startListener({ settings: { DEPLOY_TAG_KEY: tag } });

    for (let poll = 0; poll < 10; poll++) expect(await listener.poll()).toMatchObject({ tagged: 5, failed: 5 });

    const line = "error Model version cannot be served until somebody changes something";
    expect(seen(logged)).toEqual([line, line, line, line, line, "warn 5 versions cannot be served: 5 refused"]);
    expect(logged.filter(({ level }) => level === "info").map(({ message }) => message)).toEqual([
      "Endpoint is listening",
    ]);

    for (const key of keys.slice(0, 4)) await registry.deleteTag(key, tag);
    // What failed since the last poll may have come by a delivery during this one.
    await listener.poll();
    await listener.poll();
    expect(seen(logged).at(-1)).toBe("warn 1 version cannot be served: 1 refused");
  });
});

describe("a service that cannot go", () => {
  it("is waited for, and told of once with what holds it up", async () => {
    const tag = uniqueModel("deploy");
    const { listener, namespace, logged, deliver } = await startListener({ settings: { DEPLOY_TAG_KEY: tag } });
    const key = await registry.register(uniqueModel("stuck"), "s3://models/x", { [tag]: "true" });
    await deliver(key);
    await listener.idle();
    const object = ["inferenceservice", `mlflow-${key.model}-v1`, "-n", namespace];
    const hold = (finalizers: string[]): Promise<string> =>
      testKubectl()(["patch", ...object, "--type=merge", "-p", JSON.stringify({ metadata: { finalizers } })]);
    await hold(["example.com/stuck"]);
    await testKubectl()(["delete", ...object, "--wait=false"]);

    await listener.poll();
    await listener.poll();

    await listener.poll();

    const told = logged.filter(({ level }) => level === "warn").map(({ message }) => message);
    expect(told).toEqual([
      expect.stringMatching(/still being deleted; 1 of them are tagged .*Held by the finalizers .*example\.com\/stuck/),
    ]);
    expect(logged.filter(({ level }) => level === "error")).toEqual([]);
    await hold([]);
  });
});

describe("a version whose registration failed", () => {
  it("is told of with MLflow's cause and the cure, and one whose registration goes on is not", async () => {
    const directory = mkdtempSync(path.join(tmpdir(), "registration-"));
    const database = path.join(directory, "mlflow.db");
    const python = inject("python");
    const own = await startMlflow({ python, logDirectory: inject("logDirectory"), workers: 1, database });
    onTestFinished(async () => {
      await own.part.stop();
      rmSync(directory, { recursive: true });
    });
    const ownRegistry = openRegistry(own.trackingUri);
    const failed = await ownRegistry.register(uniqueModel("failed"), "s3://models/x", { deploy: "true" });
    const pending = await ownRegistry.register(uniqueModel("pending"), "s3://models/x", { deploy: "true" });
    // Other registries than MLflow's own write these; its REST API cannot.
    const statement = "UPDATE model_versions SET status = ?, status_message = ? WHERE name = ?";
    const script = `import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as database:
    database.execute(${JSON.stringify(statement)}, sys.argv[2:])`;
    const setStatus = (...values: string[]): Promise<unknown> => run(python, ["-c", script, database, ...values]);
    await setStatus("FAILED_REGISTRATION", "the copy of the artifacts failed", failed.model);
    await setStatus("PENDING_REGISTRATION", "", pending.model);
    const { listener, deliver, logged, namespace, deployed } = await startListener({
      mlflowTrackingUri: own.trackingUri,
    });

    expect(await listener.poll()).toMatchObject({ tagged: 2, created: 0, failed: 1 });
    expect(await listener.poll()).toMatchObject({ tagged: 2, created: 0, failed: 1 });

    expect(seen(logged)).toEqual([
      "error Model version cannot be served until somebody changes something",
      "warn 1 version cannot be served: 1 refused",
    ]);
    const cause =
      'MLflow failed to register the version (FAILED_REGISTRATION), saying "the copy of the artifacts failed": ' +
      "register it again, as a new version, and tag that one";
    expect(await warningsIn(namespace)).toMatchObject([
      { reason: "Refused", message: `Refused: "${failed.model}" version 1 cannot be served: ${cause}` },
    ]);
    expect(await deliver(failed)).toEqual({ status: 422, body: { status: "error", message: cause } });
    expect(await deliver(pending)).toMatchObject({ status: 200, body: { action: "ignored" } });
    expect(await deployed()).toEqual([]);
  });
});
