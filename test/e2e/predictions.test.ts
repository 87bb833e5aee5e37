import { readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { connectToApiServer } from "../../capabilities/kubernetes/api-server";
import type { ApiServer } from "../../capabilities/kubernetes/api-server";
import type { VersionDetail } from "../../capabilities/status/published";
import type { ModelVersionKey } from "../../capabilities/support/model-version-key";
import { hireDataScientist } from "../support/data-scientist";
import type { DataScientist } from "../support/data-scientist";
import { kubeConfigFrom } from "../support/kube-config";
import { uniqueModel } from "../support/listener-fixture";
import { openModelVersionPage } from "../support/mlflow-page";
import { openRegistry } from "../support/mlflow-registry";
import { installPeprStore } from "../support/pepr-store";
import { createReplica } from "../support/replica";
import type { LogLine, Replica } from "../support/replica";
import { waitFor } from "../support/waiting";
import { infer, inferenceRequest, isLoaded, predictionsOf } from "../testbed/inference";
import type { InferenceRequest, ModelAddress, Rows } from "../testbed/inference";
import { createNamespace, testKubectl } from "../testbed/namespaces";
import { findPredictions, runPredictorsIn } from "../testbed/predictions";
import type { Predictions } from "../testbed/predictions";

/** Milliseconds for a download and the start of a model server, on a machine that is busy with other tests. */
const LOAD_TIMEOUT = 240_000;
const TEST_TIMEOUT = 300_000;

const FLOWERS: Rows = [
  [5.1, 3.5, 1.4, 0.2],
  [6.7, 3.0, 5.2, 2.3],
];

interface ServiceStatus {
  readonly url?: string;
  readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason?: string }[];
  readonly modelStatus?: {
    readonly transitionStatus?: string;
    readonly lastFailureInfo?: { readonly reason?: string; readonly message?: string; readonly exitCode?: number };
  };
}

describe("A tagged version", () => {
  const tag = uniqueModel("deploy");
  let apiServer: ApiServer;
  let predictions: Predictions;
  let namespace: string;
  let module: Replica;
  let scientist: DataScientist;

  beforeAll(async () => {
    const kubectl = testKubectl();
    apiServer = connectToApiServer(15_000, kubeConfigFrom(inject("kubeconfig")));
    const found = await findPredictions(kubectl);
    if (!found) throw new Error("This cluster and its MLflow are not the testbed's: nothing runs the models.");
    predictions = found;
    namespace = await createNamespace("predictions");
    await Promise.all([
      runPredictorsIn(namespace, predictions, kubectl),
      installPeprStore(kubectl, inject("kubeconfig")),
    ]);
    module = await createReplica({
      name: `predictions-${namespace}`,
      role: "watcher",
      kubeconfig: inject("kubeconfig"),
      logDirectory: inject("logDirectory"),
      settings: {
        MLFLOW_TRACKING_URI: inject("mlflowTrackingUri"),
        KUBE_NAMESPACE: namespace,
        STORAGE_URI_BASE: "s3://mlflow",
        DEPLOY_TAG_KEY: tag,
        DISABLE_WEBHOOKS: "true",
        POLLING_INTERVAL: "10",
      },
    });
    [scientist] = await Promise.all([hireDataScientist(inject("python"), inject("mlflowTrackingUri")), module.start()]);
  }, TEST_TIMEOUT);

  afterAll(async () => {
    scientist.stop();
    await module.terminate();
  });

  const registry = openRegistry(inject("mlflowTrackingUri"));

  /** Notes each value of a tag that is not the one before. */
  const followTag = (
    key: ModelVersionKey,
    name: string,
  ): { seen: (string | undefined)[]; stop: () => Promise<void> } => {
    const seen: (string | undefined)[] = [];
    let isStopped = false;
    const look = async (): Promise<void> => {
      while (!isStopped) {
        const value = (await registry.tagsOf(key)).get(name);
        if (seen.length === 0 || seen.at(-1) !== value) seen.push(value);
        await sleep(50);
      }
    };
    const looking = look();
    return {
      seen,
      async stop() {
        isStopped = true;
        await looking;
      },
    };
  };

  const nameOf = (model: string, version: string): string => `mlflow-${model}-v${version}`;

  const statusOf = async (name: string): Promise<ServiceStatus> => {
    const path = `/apis/serving.kserve.io/v1beta1/namespaces/${namespace}/inferenceservices/${name}`;
    const { body } = await apiServer({ method: "GET", path });
    return (body as { status?: ServiceStatus }).status ?? {};
  };

  const isReady = ({ conditions = [] }: ServiceStatus): boolean | undefined => {
    const ready = conditions.find(({ type }) => type === "Ready")?.status;
    return ready === undefined ? undefined : ready === "True";
  };

  /** What people see of a service: the module's log and `GET /services`. */
  const toldOf = async (name: string): Promise<{ readonly line: LogLine | undefined; readonly listed: unknown }> => {
    const line = module.logged.findLast(said => said.inference_service === name && said.cause !== undefined);
    const response = await fetch(`${module.url}/services?limit=500`);
    const { services } = (await response.json()) as { services: readonly { readonly name: string }[] };
    return { line, listed: services.find(service => service.name === name) };
  };

  /** Ready is the model, and not only its server: a prediction is answered from then on. */
  const untilReady = async (model: string, version: string): Promise<ModelAddress> => {
    const name = nameOf(model, version);
    const address = await waitFor(
      `${name} Ready`,
      async () => {
        const status = await statusOf(name);
        return isReady(status) && status.url !== undefined
          ? { ingress: predictions.ingress, host: new URL(status.url).hostname, service: name, model }
          : undefined;
      },
      LOAD_TIMEOUT,
    );
    expect(await isLoaded(address)).toBe(true);
    return address;
  };

  it.each([
    {
      what: "of MLflow 3's log_model (models:/m-<id>)",
      about: "logged",
      source: /^models:\/m-/,
      rows: FLOWERS,
      log: (model: string) => scientist.train(model),
    },
    {
      what: "whose artifacts are a run's (runs:/<run>/model)",
      about: "run",
      source: /^runs:\//,
      rows: FLOWERS,
      log: (model: string) => scientist.trainByRun(model),
    },
    {
      what: "of a pyfunc model of somebody's own",
      about: "own",
      source: /^models:\/m-/,
      rows: [
        [1, 2, 3],
        [0.5, 0, -7],
      ],
      log: (model: string) => scientist.logPythonModel(model, true),
    },
  ])(
    "$what answers as it does in Python",
    async ({ about, source, rows, log }) => {
      const model = uniqueModel(about);
      const { version } = await log(model);
      await scientist.setTag(model, version, tag, "true");

      const address = await untilReady(model, version);
      const answer = await infer(address, inferenceRequest(rows));

      const { predictions: inPython } = await scientist.predict(model, version, rows);
      expect(predictionsOf(answer)).toEqual(inPython);
      // Its path is the model's; which version it is, the answer says.
      expect(JSON.parse(answer.text)).toMatchObject({ model_name: model, model_version: version });
      const annotations = await testKubectl()([
        ...["get", "inferenceservice", address.service, "-n", namespace],
        ...["-o", "jsonpath={.metadata.annotations.mlflow\\.source}"],
      ]);
      expect(annotations).toMatch(source);
      await scientist.deleteTag(model, version, tag);
    },
    TEST_TIMEOUT,
  );

  it(
    "in MLflow's own web page answers as it does in Python, and is taken down when the page has deleted the tag",
    async () => {
      const model = uniqueModel("page");
      const { version } = await scientist.train(model);
      const name = nameOf(model, version);
      const page = await openModelVersionPage(inject("mlflowTrackingUri"), model, version);
      try {
        const words = followTag({ model, version }, "serving");
        await page.setTag(tag, "true");
        const address = await untilReady(model, version);
        await waitFor("the word of it in MLflow", () => Promise.resolve(words.seen.at(-1) === "Ready" || undefined));
        expect(words.seen).toEqual([undefined, "Starting", "Ready"]);
        const shown = await page.tags();
        expect(Object.fromEntries(shown)).toMatchObject({ [tag]: "true", serving: "Ready" });
        const tags = await registry.tagsOf({ model, version });
        const told = new URL(tags.get("serving.url") ?? "").hostname;
        expect(told).toBe(`${name}-predictor.${namespace}.svc.cluster.local`);
        const { predictions: inPython } = await scientist.predict(model, version, FLOWERS);
        const answer = await infer({ ...address, host: told }, inferenceRequest(FLOWERS));
        expect(predictionsOf(answer)).toEqual(inPython);

        // What our own page shows of it.
        const query = new URLSearchParams({ model, version }).toString();
        const detail = (await (await fetch(`${module.url}/page/version?${query}`)).json()) as VersionDetail;
        expect(detail.chain.filter(({ at }) => at === undefined)).toEqual([]);
        expect(detail).toMatchObject({ source: expect.stringMatching(/^models:/) as string, state: { word: "Ready" } });
        const [, body = "{}"] = /-d '(.*)'$/.exec(detail.request?.curl ?? "") ?? [];
        const copied = await infer({ ...address, host: told }, JSON.parse(body) as InferenceRequest);
        expect(copied).toMatchObject({ status: 200, text: expect.stringContaining("outputs") as string });

        await page.deleteTag(tag);
        await waitFor(`the end of ${name}`, async () => (await toldOf(name)).listed === undefined || undefined);
        await waitFor("the end of its tags", async () => ((await page.tags()).size === 0 ? true : undefined));
        await words.stop();
      } finally {
        await page.close();
      }
    },
    TEST_TIMEOUT,
  );

  it(
    "whose artifacts were deleted is not Ready, and KServe says that there is no model",
    async () => {
      const model = uniqueModel("gone");
      const { version } = await scientist.train(model);
      await scientist.deleteArtifacts(model, version);
      await scientist.setTag(model, version, tag, "true");

      const name = nameOf(model, version);
      const status = await untilFailed(name);

      expect(isReady(status)).toBe(false);
      expect(status.modelStatus?.lastFailureInfo).toMatchObject({ reason: "ModelLoadFailed", exitCode: 1 });
      expect(status.modelStatus?.lastFailureInfo?.message).toContain("Failed to fetch model. No model found in");
      const cause = expect.stringMatching(/^ModelLoadFailed: .*Failed to fetch model. No model found in/) as string;
      // The module's watch hears of it a moment after we have asked.
      const { line, listed } = await waitFor(`the module's word about ${name}`, async () => {
        const told = await toldOf(name);
        return told.line?.msg === "The model could not be loaded" ? told : undefined;
      });
      expect(line).toMatchObject({ level: 50, model, version, cause });
      expect(listed).toMatchObject({ status: "Failed", message: cause });
      const inMlflow = await waitFor("the cause in MLflow", async () => {
        const tags = await registry.tagsOf({ model, version });
        return tags.get("serving") === "Failed" ? tags : undefined;
      });
      expect(inMlflow.get("serving.cause")).toMatch(/^ModelLoadFailed: .*Failed to fetch model. No model found in/);
      await scientist.deleteTag(model, version, tag);
    },
    TEST_TIMEOUT,
  );

  it(
    "that cannot be loaded is not Ready, and its server's log, to which we point, says why",
    async () => {
      const model = uniqueModel("broken");
      const { version } = await scientist.logPythonModel(model, false);
      await scientist.setTag(model, version, tag, "true");

      // MLServer ends with code 0 when its model cannot be loaded, so that Kubernetes has no message of it to give to
      // KServe, which looks again at a pod only when its download has changed.
      const name = nameOf(model, version);
      const pod = await waitFor(
        `the back-off of ${name}`,
        async () => {
          const container = `{.metadata.name} {.status.containerStatuses[0].state.waiting.reason}`;
          const answer = await testKubectl()([
            ...["get", "pods", "-n", namespace, "-l", `serving.kserve.io/inferenceservice=${name}`],
            ...["-o", `jsonpath={range .items[*]}${container}{end}`],
          ]);
          const [found, reason] = answer.split(" ");
          return reason === "CrashLoopBackOff" ? found : undefined;
        },
        LOAD_TIMEOUT,
      );

      const status = await waitFor(`${name} not Ready`, async () => {
        const seen = await statusOf(name);
        return isReady(seen) === false ? seen : undefined;
      });
      expect(status.conditions).toContainEqual(
        expect.objectContaining({ type: "PredictorReady", status: "False", reason: "MinimumReplicasUnavailable" }),
      );
      const logs = path.join(predictions.podLogs, `${namespace}_${pod}_kserve-container.log`);
      expect(readFileSync(logs, "utf8")).toContain("the dictionary of this model was left behind");
      const cause = expect.stringContaining(
        `kubectl logs -n ${namespace} -l serving.kserve.io/inferenceservice=${name} --all-containers`,
      ) as string;
      // A new service has its time to start before anything is made of its not being Ready.
      const { line, listed } = await waitFor(
        `a cause of ${name}`,
        async () => {
          const told = await toldOf(name);
          return (told.listed as { message?: string } | undefined)?.message === undefined ? undefined : told;
        },
        LOAD_TIMEOUT,
      );
      expect(line).toMatchObject({ model, version, cause });
      expect(listed).toMatchObject({ status: "Starting", message: cause });
      await scientist.deleteTag(model, version, tag);
    },
    TEST_TIMEOUT,
  );

  const untilFailed = (name: string): Promise<ServiceStatus> =>
    waitFor(
      `the failure of ${name}`,
      async () => {
        const status = await statusOf(name);
        return isReady(status) === false && status.modelStatus?.transitionStatus === "BlockedByFailedLoad"
          ? status
          : undefined;
      },
      LOAD_TIMEOUT,
    );
});
