import path from "node:path";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { startListener, uniqueModel } from "../support/listener-fixture";
import { openRegistry } from "../support/mlflow-registry";
import { waitFor } from "../support/waiting";
import { createNamespace } from "../testbed/namespaces";
import { applyTwice, copyExamples, EXAMPLES, installCustomResources, readmeCommands } from "./examples-support";
import type { ExampleCopy } from "./examples-support";

const FOLDER = path.join(EXAMPLES, "kserve");
const MINUTES = 60_000;
/** The namespace and the model of the examples have other names here, as other tests use them as well. */
const model = uniqueModel("iris");
/** What the module makes of the artifact location of a model that was logged through MLflow's artifact proxy. */
const SOURCE = "s3://mlflow/1/models/m-1/artifacts";

interface HttpRoute {
  readonly spec: { readonly rules: [{ readonly backendRefs: { name: string; port: number }[] }] };
}

const registry = openRegistry(inject("mlflowTrackingUri"));

let namespace: string;
let copy: ExampleCopy;

/** Reads an object. @returns undefined when there is none */
async function read(kind: string, name: string): Promise<Record<string, unknown> | undefined> {
  const json = await copy.kubectl(["get", kind, name, "-n", namespace, "--ignore-not-found", "-o", "json"]);
  return json === "" ? undefined : (JSON.parse(json) as Record<string, unknown>);
}

beforeAll(async () => {
  namespace = await createNamespace("models");
  copy = copyExamples({
    "kserve-mlflow-models": namespace,
    "mlflow.model: iris": `mlflow.model: ${model}`,
    "mlflow-iris-v": `mlflow-${model}-v`,
  });
  await installCustomResources(copy, "gateway", ["gateway.networking.k8s.io_httproutes"]);
  const [install = ""] = commands();
  await copy.shell(install);
}, 5 * MINUTES);

function commands(): string[] {
  return readmeCommands(path.join(copy.root, FOLDER, "README.md"));
}

describe("the manifests", () => {
  it.each([FOLDER, path.join(FOLDER, "canary"), path.join(FOLDER, "weighted")])(
    "%s are accepted without a warning and unchanged by a second apply",
    async folder => {
      expect(await applyTwice(copy, folder)).toEqual([]);
    },
    5 * MINUTES,
  );
});

describe("a template", () => {
  /** Deploys a version by the module with a template, as KServe's admission lets it. */
  async function deploy(template: string): Promise<{ served: string; name: string }> {
    const file = path.join(FOLDER, "templates", `${template}.yaml.txt`);
    const listener = await startListener({ namespace, settings: { INFERENCE_SERVICE_TEMPLATE: file } });
    const key = await registry.register(uniqueModel(template), SOURCE, { deploy: "true" });
    expect(await listener.deliver(key)).toMatchObject({ status: 200, body: { action: "created" } });
    return { served: key.model, name: `mlflow-${key.model}-v1` };
  }

  async function ready(name: string): Promise<void> {
    const condition = ["--for=condition=Ready", "--timeout=120s"];
    await copy.kubectl(["wait", "-n", namespace, `inferenceservice/${name}`, ...condition]);
  }

  it(
    "storage: Ready under the baseline Pod Security Standard, in the runtime of the namespace, with the store's key",
    async () => {
      const { served, name } = await deploy("storage");
      await ready(name);

      const deployment = await read("deployment", `${name}-predictor`);
      expect(deployment).toMatchObject({ metadata: { labels: { "mlflow.model": served, "mlflow.version": "1" } } });
      const pods = await copy.kubectl(["get", "pods", "-n", namespace, "-l", `mlflow.model=${served}`, "-o", "json"]);
      expect(JSON.parse(pods)).toMatchObject({
        items: [
          {
            metadata: { labels: { component: "predictor", "managed-by": "mlflow-kserve-webhook-listener" } },
            spec: {
              serviceAccountName: "mlflow-models",
              initContainers: [
                {
                  name: "storage-initializer",
                  args: [`${SOURCE}/`, "/mnt/models"],
                  env: expect.arrayContaining([
                    expect.objectContaining({ name: "AWS_ACCESS_KEY_ID" }),
                    { name: "AWS_ENDPOINT_URL", value: "http://object-store.mlflow.svc:9000" },
                  ]) as unknown,
                },
              ],
              containers: [
                {
                  image: "docker.io/seldonio/mlserver:1.7.1",
                  env: expect.arrayContaining([{ name: "MLSERVER_MODEL_NAME", value: served }]) as unknown,
                },
              ],
            },
          },
        ],
      });
    },
    5 * MINUTES,
  );

  it(
    "autoscaling: KServe makes a HorizontalPodAutoscaler of it",
    async () => {
      const { name } = await deploy("autoscaling");
      await ready(name);

      const autoscaler = await waitFor(
        "the autoscaler",
        () => read("horizontalpodautoscaler", `${name}-predictor`),
        60_000,
      );
      expect(autoscaler).toMatchObject({
        spec: {
          minReplicas: 2,
          maxReplicas: 10,
          metrics: [{ resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 70 } } }],
        },
      });
    },
    5 * MINUTES,
  );

  // Knative is not in the testbed: what KServe makes of it is not seen here, only that its admission takes it.
  it("scale-to-zero: KServe's admission takes it", async () => {
    const { name } = await deploy("scale-to-zero");

    expect(await read("inferenceservice", name)).toMatchObject({
      metadata: { annotations: { "serving.kserve.io/deploymentMode": "Knative" } },
      spec: { predictor: { minReplicas: 0, scaleMetric: "concurrency" } },
    });
  });

  it("gpu: its pods ask for a GPU, on the nodes that have one", async () => {
    const { name } = await deploy("gpu");

    const deployment = await waitFor("the Deployment", () => read("deployment", `${name}-predictor`), 60_000);
    expect(deployment).toMatchObject({
      spec: {
        strategy: { type: "Recreate" },
        template: {
          spec: {
            nodeSelector: { "nvidia.com/gpu.present": "true" },
            tolerations: [{ key: "nvidia.com/gpu", operator: "Exists", effect: "NoSchedule" }],
            containers: [{ resources: { limits: { "nvidia.com/gpu": "1" } } }],
          },
        },
      },
    });
  });

  it(
    "transformer: Ready, and told where the predictor is and what the model is called there",
    async () => {
      const { served, name } = await deploy("transformer");
      await ready(name);

      const deployment = await read("deployment", `${name}-transformer`);
      const args = ["--model_name", served, "--predictor_protocol", "v2"];
      const byKserve = ["--predictor_host", `${name}-predictor.${namespace}`, "--http_port", "8080"];
      expect(deployment).toMatchObject({
        spec: { template: { spec: { containers: [{ args: [...args, ...byKserve] }] } } },
      });
    },
    5 * MINUTES,
  );
});

describe("canary and rollback", () => {
  /** The versions of iris whose pods take requests that are sent to the Service of all versions. */
  async function versionsBehindService(): Promise<string[]> {
    const addresses = await copy.kubectl([
      ...["get", "endpointslices", "-n", namespace, "-l", "kubernetes.io/service-name=iris"],
      ...["-o", "jsonpath={.items[*].endpoints[?(@.conditions.ready==true)].targetRef.name}"],
    ]);
    const pods = addresses.split(" ").filter(name => name !== "");
    return pods.map(name => /-v(\d+)-predictor-/.exec(name)?.[1] ?? name).sort();
  }

  async function waitForVersions(...versions: string[]): Promise<void> {
    const wanted = JSON.stringify(versions);
    const same = async (): Promise<true | undefined> =>
      JSON.stringify(await versionsBehindService()) === wanted ? true : undefined;
    await waitFor(`the Service to have the versions ${wanted}`, same, 120_000);
  }

  it(
    "go by tags alone: a second tag shares the requests, a removed one ends it",
    async () => {
      await copy.kubectl(["apply", "-k", path.join(FOLDER, "canary")]);
      await copy.kubectl(["apply", "-k", path.join(FOLDER, "weighted")]);
      const file = path.join(FOLDER, "templates", "storage.yaml.txt");
      const listener = await startListener({ namespace, settings: { INFERENCE_SERVICE_TEMPLATE: file } });
      const first = await registry.register(model, SOURCE, { deploy: "true" });
      await listener.deliver(first);
      await waitForVersions("1");

      const second = await registry.register(model, SOURCE, { deploy: "true" });
      await listener.deliver(second);
      await waitForVersions("1", "2");
      const route = await copy.kubectl(["get", "httproute", "iris", "-n", namespace, "-o", "json"]);
      const { backendRefs } = (JSON.parse(route) as HttpRoute).spec.rules[0];
      expect(backendRefs).toHaveLength(2);
      for (const { name, port } of backendRefs) {
        expect(await read("service", name), name).toMatchObject({ spec: { ports: [{ port }] } });
      }

      await registry.deleteTag(second, "deploy");
      expect(await listener.deliver(second, "deleted")).toMatchObject({ status: 200, body: { action: "deleted" } });
      await waitForVersions("1");
    },
    5 * MINUTES,
  );
});

it(
  "the other commands of the README are good, and the last removes all of it",
  async () => {
    const [, ...others] = commands();
    for (const block of others) await copy.shell(block);
    expect(await copy.kubectl(["get", "namespace", namespace, "--ignore-not-found"])).toBe("");
  },
  5 * MINUTES,
);
