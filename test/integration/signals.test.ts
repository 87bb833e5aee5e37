import { describe, expect, inject, it } from "vitest";
import { gatherVariables } from "../../capabilities/configuration/cluster-variables";
import { readConfiguration } from "../../capabilities/configuration/configuration";
import { connectToApiServer } from "../../capabilities/kubernetes/api-server";
import { readOwnUsername } from "../../capabilities/kubernetes/own-identity";
import { inParallel } from "../../capabilities/support/in-parallel";
import { createRotatingSecret } from "../../capabilities/configuration/rotating-secret";
import { kubeConfigFrom } from "../support/kube-config";
import { startListener, uniqueModel } from "../support/listener-fixture";
import { openRegistry } from "../support/mlflow-registry";
import { thrownBy } from "../support/unit/outcomes";
import { recordingLog } from "../support/unit/recording-log";
import { waitFor } from "../support/waiting";
import { createNamespace, testKubectl } from "../testbed/namespaces";
import { freePort } from "../testbed/ports";

const registry = openRegistry(inject("mlflowTrackingUri"));

describe("Kubernetes Events", () => {
  it("tell in `kubectl describe` what was done", async () => {
    const { deliver, namespace } = await startListener();
    const key = await registry.register(uniqueModel("told"), "s3://models/x", { deploy: "true" });
    await deliver(key);

    const name = `mlflow-${key.model}-v1`;
    const described = await waitFor("the event", async () => {
      const text = await testKubectl()(["describe", "inferenceservice", name, "-n", namespace]);
      return text.includes("Deployed") ? text : undefined;
    });
    expect(described).toMatch(/Normal +Deployed +.*mlflow-kserve +".*" version 1 is served, as its tag or an alias/);
  });

  it("tell in the namespace what cannot be served, once", async () => {
    const { deliver, namespace } = await startListener();
    const key = await registry.register(uniqueModel("dbfs"), "dbfs:/x", { deploy: "true" });
    await deliver(key);
    await deliver(key);

    const listEvents = (): Promise<string> => testKubectl()(["get", "events", "-n", namespace, "-o", "json"]);
    const events = await waitFor("the event", async () => {
      const { items } = JSON.parse(await listEvents()) as { items: Record<string, unknown>[] };
      return items.length > 0 ? items : undefined;
    });
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({
      type: "Warning",
      reason: "Refused",
      message: expect.stringMatching(
        /^Refused: .*cannot be served: .*dbfs.*: copy the model to object storage/,
      ) as string,
    });
  });
});

describe("settings from the cluster", () => {
  it("come from ConfigMap and Secret when the environment does not have them", async () => {
    const namespace = await createNamespace("settings");
    const { log } = recordingLog();
    const apiServer = connectToApiServer(15_000, kubeConfigFrom(inject("kubeconfig")));
    const create = (...args: string[]): Promise<string> => testKubectl()(["create", "-n", namespace, ...args]);
    await create(
      ...["configmap", "mlflow-kserve-config", "--from-literal=MLFLOW_KSERVE_MLFLOW_TRACKING_URI=http://mlflow:5000"],
      "--from-literal=MLFLOW_KSERVE_INFERENCE_SERVICE_TEMPLATE=mlflow-kserve-template/small.yaml",
    );
    const template =
      "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nspec: {predictor: {model: {storageUri: '{{storage_uri}}'}}}";
    await create("configmap", "mlflow-kserve-template", `--from-literal=small.yaml=${template}`);
    await create("secret", "generic", "mlflow-webhook-secret", "--from-literal=secret=geheim, und lang genug");

    const { variables, readSecret } = await gatherVariables({}, apiServer, namespace, log);
    const { settings } = readConfiguration(variables);

    expect(settings).toMatchObject({
      MLFLOW_TRACKING_URI: "http://mlflow:5000",
      MLFLOW_WEBHOOK_SECRET: "geheim, und lang genug",
    });
    expect(settings.INFERENCE_SERVICE_TEMPLATE).toContain("{{storage_uri}}");
    expect(await readSecret?.()).toBe("geheim, und lang genug");
  });

  it("say of a template's ConfigMap or key that is not there just that", async () => {
    const namespace = await createNamespace("settings");
    const { log } = recordingLog();
    const apiServer = connectToApiServer(15_000, kubeConfigFrom(inject("kubeconfig")));
    const problemOf = async (template: string): Promise<string> => {
      const environment = {
        MLFLOW_KSERVE_MLFLOW_TRACKING_URI: "http://mlflow:5000",
        MLFLOW_KSERVE_MLFLOW_WEBHOOK_SECRET: "geheim, und lang genug",
        MLFLOW_KSERVE_INFERENCE_SERVICE_TEMPLATE: template,
      };
      const { variables, problems } = await gatherVariables(environment, apiServer, namespace, log);
      return thrownBy(() => readConfiguration(variables, problems)).message;
    };
    expect(await problemOf("templates/small.yaml")).toContain(
      `names the ConfigMap ${namespace}/templates, which does not exist`,
    );
    await testKubectl()(["create", "-n", namespace, "configmap", "templates", "--from-literal=big.yaml=x"]);
    expect(await problemOf("templates/small.yaml")).toContain(
      `names the key small.yaml of the ConfigMap ${namespace}/templates, which has only big.yaml`,
    );
  });

  it("include who the module is, as admission will see it", async () => {
    const apiServer = connectToApiServer(15_000, kubeConfigFrom(inject("kubeconfig")));
    const username = await readOwnUsername(apiServer, recordingLog().log);
    const expected = await testKubectl()(["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]);
    expect(username).toBe(expected);
  });
});

describe("a rotated secret", () => {
  /** Milliseconds between two readings, instead of 15 s. */
  const INTERVAL = 300;
  const VERSIONS = 40;

  it("loses no delivery of MLflow's", async () => {
    const namespace = await createNamespace("rotate");
    const { log } = recordingLog();
    const apiServer = connectToApiServer(15_000, kubeConfigFrom(inject("kubeconfig")));
    const setSecret = (value: string): Promise<string> =>
      testKubectl()(
        ["apply", "-n", namespace, "-f", "-"],
        JSON.stringify({
          apiVersion: "v1",
          kind: "Secret",
          metadata: { name: "mlflow-webhook-secret" },
          stringData: { secret: value },
        }),
      );
    await setSecret("the first secret");
    const { readSecret } = await gatherVariables({}, apiServer, namespace, log);
    const port = await freePort();
    const tag = uniqueModel("deploy");
    const webhookSecret = createRotatingSecret({
      first: "the first secret",
      read: readSecret ?? (() => Promise.resolve(undefined)),
      interval: INTERVAL,
      log,
    });
    const { logged, deployed } = await startListener({
      namespace,
      webhookSecret,
      settings: {
        APP_PORT: String(port),
        DEPLOY_TAG_KEY: tag,
        MLFLOW_WEBHOOK_NAME: tag,
        MLFLOW_WEBHOOK_URL: `http://127.0.0.1:${port}/webhook`,
        MLFLOW_WEBHOOK_CACHE_TTL: "1",
      },
    });
    const proofs = (): number => logged.filter(({ message }) => message === "Webhook registered in MLflow").length;
    await waitFor("the proof", () => logged.find(({ message }) => message === "Webhook registered and proven"));

    const keys = await inParallel(Array.from({ length: VERSIONS }), 4, () =>
      registry.register(uniqueModel("turn"), "s3://models/x"),
    );
    const tagging = inParallel(keys, 1, key => registry.setTag(key, tag, "true"));
    await setSecret("the second secret");
    await tagging;
    // Given to MLflow only when every replica must know it.
    await waitFor("MLflow being told", () => (proofs() >= 2 ? true : undefined));
    expect(webhookSecret.forMlflow()).toBe("the second secret");
    const last = await registry.register(uniqueModel("turn"), "s3://models/x");
    await registry.setTag(last, tag, "true");

    await waitFor("all of them", async () => ((await deployed()).length === VERSIONS + 1 ? true : undefined));
    expect(logged.filter(({ message }) => message === "Delivery refused")).toEqual([]);
  });
});
