import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { connectToApiServer } from "../../capabilities/kubernetes/api-server";
import type { ApiServer } from "../../capabilities/kubernetes/api-server";
import { createInferenceServices } from "../../capabilities/kserve/inference-services";
import type { InferenceServices } from "../../capabilities/kserve/inference-services";
import { hireDataScientist } from "../support/data-scientist";
import type { DataScientist } from "../support/data-scientist";
import { kubeConfigFrom } from "../support/kube-config";
import { startModule } from "../support/module-process";
import type { ModuleProcess } from "../support/module-process";
import { say, startTestbedAloud } from "../support/command-output";
import { testbedOptionsFrom } from "../testbed";
import type { Testbed } from "../testbed";
import { kubectlFor } from "../testbed/kubectl";
import { freePort } from "../testbed/ports";
import { findPredictions, runPredictorsIn } from "../testbed/predictions";

export const NAMESPACE = "kserve-mlflow-models";
export const MODEL = "iris";

/** Everything that the demonstration plays on. */
export interface Stage {
  readonly testbed: Testbed;
  readonly module: ModuleProcess;
  readonly scientist: DataScientist;
  readonly apiServer: ApiServer;
  readonly services: InferenceServices;
  /** Base URL of the module's endpoint. */
  readonly endpoint: string;
  /** The versions that were trained, the first one first. */
  readonly versions: readonly [string, string];
  /** Base URL of the way to the models; undefined when they do not run on this machine. */
  readonly ingress: string | undefined;
}

/** What is to be ended at the end, in the order in which it was started. */
export type Closing = (() => Promise<void> | void)[];

/** Starts the systems and the module, and has two versions of a model trained meanwhile. */
export async function setTheStage(argv: readonly string[], closing: Closing): Promise<Stage> {
  say("Starting MLflow and Kubernetes with KServe (the first time this builds them, which takes about ten minutes)");
  const testbed = await startTestbedAloud(testbedOptionsFrom(argv, process.env));
  closing.push(() => testbed.stop());
  const apiServer = connectToApiServer(15_000, kubeConfigFrom(testbed.kubeconfig));
  await createNamespace(apiServer, NAMESPACE);
  const kubectl = kubectlFor(testbed.kubectl, testbed.kubeconfig, tmpdir());
  const predictions = await findPredictions(kubectl);
  if (predictions) await runPredictorsIn(NAMESPACE, predictions, kubectl);

  say("\nStarting the module in Pepr's development mode (it is type-checked and bundled first)");
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const startingModule = startModule({
    kubeconfig: testbed.kubeconfig,
    logDirectory: testbed.logDirectory,
    settings: {
      MLFLOW_KSERVE_MLFLOW_TRACKING_URI: testbed.mlflowTrackingUri,
      MLFLOW_KSERVE_MLFLOW_WEBHOOK_SECRET: randomBytes(24).toString("base64"),
      MLFLOW_KSERVE_MLFLOW_WEBHOOK_URL: `${endpoint}/webhook`,
      MLFLOW_KSERVE_APP_HOST: "127.0.0.1",
      MLFLOW_KSERVE_APP_PORT: String(port),
      MLFLOW_KSERVE_KUBE_NAMESPACE: NAMESPACE,
      MLFLOW_KSERVE_STORAGE_URI_BASE: "s3://mlflow",
    },
  });
  startingModule.then(
    module => closing.push(() => module.stop()),
    () => undefined,
  );
  say("Meanwhile, training a scikit-learn model twice and registering it with MLflow's Python client");
  const training = train(testbed, closing);
  training.catch(() => undefined); // reported below, unless the module's failure comes first
  const module = await startingModule;
  await module.waitForEntry(
    "proof that MLflow's deliveries arrive",
    ({ message }) => message === "Webhook registered and proven",
    60_000,
  );
  say(`  listening at ${endpoint}, webhook registered in MLflow and proven to arrive`);
  const { scientist, versions } = await training;
  say(`  registered ${MODEL} versions ${versions.join(" and ")}; their artifacts went through MLflow to its storage`);
  const services = createInferenceServices(apiServer, NAMESPACE);
  return { testbed, module, scientist, apiServer, services, endpoint, versions, ingress: predictions?.ingress };
}

async function train(testbed: Testbed, closing: Closing): Promise<Pick<Stage, "scientist" | "versions">> {
  const scientist = await hireDataScientist(testbed.python, testbed.mlflowTrackingUri);
  closing.push(() => {
    scientist.stop();
  });
  const first = await scientist.train(MODEL);
  const second = await scientist.train(MODEL);
  return { scientist, versions: [first.version, second.version] };
}

async function createNamespace(apiServer: ApiServer, name: string): Promise<void> {
  await apiServer({
    method: "PATCH",
    path: `/api/v1/namespaces/${name}`,
    query: { fieldManager: "mlflow-kserve-demo", force: "true" },
    contentType: "application/apply-patch+yaml",
    body: { apiVersion: "v1", kind: "Namespace", metadata: { name } },
  });
}
