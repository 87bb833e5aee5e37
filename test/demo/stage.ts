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
import { testbedOptionsFromFlags } from "../testbed";
import type { Testbed } from "../testbed";
import { kubectlFor } from "../testbed/kubectl";
import { freePort } from "../testbed/ports";
import { findPredictions, runPredictorsIn } from "../testbed/predictions";
import { borrowCluster } from "./borrowed-cluster";
import { giveBackMlflow } from "./borrowed-mlflow";
import { namesFor } from "./names";
import type { Names } from "./names";

/** Everything that the demonstration plays on. */
export interface Stage {
  readonly testbed: Testbed;
  readonly module: ModuleProcess;
  readonly scientist: DataScientist;
  readonly apiServer: ApiServer;
  readonly services: InferenceServices;
  /** Base URL of the module's endpoint. */
  readonly endpoint: string;
  readonly names: Names;
  /** The versions that were trained, the first one first. */
  readonly versions: readonly [string, string];
  /** Base URL of the way to the models; undefined when they do not run on this machine. */
  readonly ingress: string | undefined;
}

/** What is to be ended at the end, in the order in which it was started. */
export type Closing = (() => Promise<void> | void)[];

/** Starts the systems and the module, and has two versions of a model trained meanwhile. */
export async function setTheStage(argv: readonly string[], closing: Closing): Promise<Stage> {
  const options = testbedOptionsFromFlags(argv);
  const names = namesFor(options, randomBytes(3).toString("hex"));
  const { namespace, model } = names;
  say("Starting MLflow and Kubernetes with KServe (the first time this builds them, which takes about ten minutes)");
  const testbed = await startTestbedAloud(options);
  closing.push(() => testbed.stop());
  const kubectl = kubectlFor(testbed.kubectl, testbed.kubeconfig, tmpdir());
  const isBorrowed = options.kubeconfig !== undefined;
  if (isBorrowed) {
    const cluster = await borrowCluster(kubectl);
    closing.push(() => cluster.giveBack());
    await cluster.createNamespace(namespace);
  } else {
    await kubectl(["create", "namespace", namespace]);
  }
  if (options.mlflowTrackingUri !== undefined) {
    const trackingUri = options.mlflowTrackingUri;
    closing.push(() => giveBackMlflow(trackingUri, names));
  }
  const predictions = isBorrowed ? undefined : await findPredictions(kubectl);
  if (predictions) await runPredictorsIn(namespace, predictions, kubectl);

  say("\nStarting the module, bundled as for an installation: one process takes deliveries, one polls and watches");
  if (isBorrowed)
    say("  without admission, since the API server of that cluster does not reach this machine's loopback");
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const startingModule = startModule({
    kubectl,
    kubeconfig: testbed.kubeconfig,
    logDirectory: testbed.logDirectory,
    port,
    namespace,
    name: names.module,
    admission: !isBorrowed,
    settings: {
      MLFLOW_TRACKING_URI: testbed.mlflowTrackingUri,
      MLFLOW_WEBHOOK_SECRET: randomBytes(24).toString("base64"),
      MLFLOW_WEBHOOK_URL: `${endpoint}/webhook`,
      // The testbed's own; somebody's MLflow has most likely what is usual.
      ...(options.mlflowTrackingUri === undefined ? { MLFLOW_WEBHOOK_CACHE_TTL: "1" } : {}),
      MLFLOW_WEBHOOK_NAME: names.module,
      DEPLOY_TAG_KEY: names.tag,
      STORAGE_URI_BASE: "s3://mlflow",
    },
  });
  closing.push(async () => {
    // Also one that is still starting has left something in the cluster.
    const started = await startingModule.catch(() => undefined);
    await started?.stop();
  });
  say("Meanwhile, training a scikit-learn model twice and registering it with MLflow's Python client");
  const training = train(testbed, model, closing);
  training.catch(() => undefined); // reported below, unless the module's failure comes first
  const module = await startingModule;
  await module.waitForLine(
    "proof that MLflow's deliveries arrive",
    ({ msg }) => msg === "Webhook registered and proven",
    60_000,
  );
  say(`  listening at ${endpoint}, webhook registered in MLflow and proven to arrive`);
  const { scientist, versions } = await training;
  say(`  registered ${model} versions ${versions.join(" and ")}; their artifacts went through MLflow to its storage`);
  const apiServer = connectToApiServer(15_000, kubeConfigFrom(testbed.kubeconfig));
  const services = createInferenceServices(apiServer, namespace);
  const ingress = predictions?.ingress;
  return { testbed, module, scientist, apiServer, services, endpoint, names, versions, ingress };
}

async function train(
  testbed: Testbed,
  model: string,
  closing: Closing,
): Promise<Pick<Stage, "scientist" | "versions">> {
  const scientist = await hireDataScientist(testbed.python, testbed.mlflowTrackingUri);
  closing.push(() => {
    scientist.stop();
  });
  const first = await scientist.train(model);
  const second = await scientist.train(model);
  return { scientist, versions: [first.version, second.version] };
}
