// `npm start`: everything that the project is about, on this machine, in one run. With --once it also takes the service
// down again and ends.
import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { keyOf } from "../../capabilities/kserve/identity";
import { connectToApiServer } from "../../capabilities/kserve/api-server";
import type { ApiServer } from "../../capabilities/kserve/api-server";
import { createInferenceServices } from "../../capabilities/kserve/inference-services";
import type { InferenceServices } from "../../capabilities/kserve/inference-services";
import type { LiveInferenceService } from "../../capabilities/kserve/live-inference-service";
import { messageOf } from "../../capabilities/operations/logging";
import { hireDataScientist } from "../support/data-scientist";
import type { DataScientist } from "../support/data-scientist";
import { kubeConfigFrom } from "../support/kube-config";
import type { LogEntry } from "../support/module-log";
import { startModule } from "../support/module-process";
import type { ModuleProcess } from "../support/module-process";
import { waitFor } from "../support/waiting";
import { startTestbed, testbedOptionsFrom } from "../testbed";
import type { Testbed } from "../testbed";
import { TESTBED_FLAGS } from "../testbed/options";
import { freePort } from "../testbed/ports";
import { untilAskedToStop } from "../testbed/stopping";
import { printService, printTimeline } from "./printing";

const NAMESPACE = "kserve-mlflow-models";
const MODEL = "iris";

const HELP = `Shows mlflow-kserve at work: starts MLflow and Kubernetes with KServe, runs the module, trains and registers a
small model, sets the tag deploy=true on it, and shows its InferenceService become Ready. Stays up until Ctrl-C.

Usage: npm start [-- --once] [--kubeconfig FILE] [--mlflow URL]

  --once              remove the tag as well, show the InferenceService go, and end
  --kubeconfig FILE   use this cluster instead of starting one; it must have KServe (or: KUBECONFIG)
  --mlflow URL        use this MLflow server instead of starting one (or: MLFLOW_TRACKING_URI); it must be able to reach
                      this machine's 127.0.0.1 and accept http webhooks to private addresses`;

interface Stage {
  readonly testbed: Testbed;
  readonly module: ModuleProcess;
  readonly scientist: DataScientist;
  readonly services: InferenceServices;
  readonly endpoint: string;
}

const say = (message: string): void => {
  console.log(message);
};

async function main(): Promise<void> {
  const argv = process.argv.slice(2);
  const { values } = parseArgs({
    args: argv,
    options: { ...TESTBED_FLAGS, once: { type: "boolean" }, help: { type: "boolean", short: "h" } },
  });
  if (values.help) {
    say(HELP);
    return;
  }
  const asked = untilAskedToStop();
  const closing: (() => Promise<void> | void)[] = [];
  const close = async (): Promise<void> => {
    for (const end of closing.splice(0).reverse()) await end();
  };
  const show = async (): Promise<void> => {
    const stage = await setTheStage(argv, closing);
    const version = await deploy(stage);
    if (values.once) {
      await takeDown(stage, version);
      say("\nDone: the tag made the InferenceService, and taking the tag away took it down.");
      return;
    }
    tellHowToGoOn(stage, version);
    say(await asked);
  };
  try {
    const interrupted = await Promise.race([show(), asked]);
    if (typeof interrupted === "string") say(interrupted);
  } catch (error) {
    console.error(`\nIt did not work: ${messageOf(error)}`);
    for (let cause = error; cause instanceof Error && cause.cause !== undefined; cause = cause.cause) {
      console.error(`  because: ${messageOf(cause.cause)}`);
    }
    process.exitCode = 1;
  }
  await close();
  process.exit();
}

async function setTheStage(argv: readonly string[], closing: (() => Promise<void> | void)[]): Promise<Stage> {
  say("Starting MLflow and Kubernetes with KServe (the first time this builds them, which takes about ten minutes)");
  const testbed = await startTestbed({
    ...testbedOptionsFrom(argv, process.env),
    progress: message => {
      say(`  ${message}`);
    },
  });
  closing.push(() => testbed.stop());
  const apiServer = connectToApiServer(15_000, kubeConfigFrom(testbed.kubeconfig));
  await createNamespace(apiServer, NAMESPACE);

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
  const [module, scientist] = await Promise.all([
    startingModule,
    hireDataScientist(testbed.python, testbed.mlflowTrackingUri),
  ]);
  closing.push(() => {
    scientist.stop();
  });
  await module.waitForEntry(
    "proof that MLflow's deliveries arrive",
    ({ message }) => message === "Webhook registered and proven",
    30_000,
  );
  say(`  listening at ${endpoint}, webhook registered in MLflow and proven to arrive`);
  return { testbed, module, scientist, services: createInferenceServices(apiServer, NAMESPACE), endpoint };
}

/** Trains, registers and tags a model, and shows what follows. */
async function deploy({ module, scientist, services }: Stage): Promise<string> {
  say("\nTraining a scikit-learn model and registering it with MLflow's Python client");
  const { version } = await scientist.train(MODEL);
  say(`  registered ${MODEL} version ${version}`);

  say("\nSetting the tag deploy=true");
  const tag = await scientist.setTag(MODEL, version, "deploy", "true");
  const isAboutIt = (entry: LogEntry): boolean => entry.fields.model === MODEL && entry.fields.version === version;
  const delivery = await module.waitForEntry(
    "the delivery of MLflow's event",
    entry => isAboutIt(entry) && entry.message.startsWith("Delivery"),
  );
  if (delivery.level === "ERROR") throw new Error(`The delivery failed: ${String(delivery.fields.cause)}`);
  const ready = await waitFor(
    "InferenceService Ready=True, set by KServe's controller",
    async () => {
      const live = await findService(services, version);
      return live?.status.conditions.some(({ type, status }) => type === "Ready" && status === "True")
        ? live
        : undefined;
    },
    60_000,
  );
  printTimeline(tag, delivery, Date.now());
  printService(ready);
  return version;
}

async function takeDown({ scientist, services }: Stage, version: string): Promise<void> {
  say("\nRemoving the tag");
  const tag = await scientist.deleteTag(MODEL, version, "deploy");
  await waitFor("the InferenceService's end", async () =>
    (await findService(services, version)) === undefined ? true : undefined,
  );
  say(`  InferenceService gone after ${Math.round(Date.now() - tag.started_at)} ms`);
}

async function findService(services: InferenceServices, version: string): Promise<LiveInferenceService | undefined> {
  const live = await services.listManaged();
  return live.find(({ metadata }) => {
    const key = keyOf(metadata);
    return key?.model === MODEL && key.version === version;
  });
}

function tellHowToGoOn({ testbed, endpoint }: Stage, version: string): void {
  say(`
It stays up until Ctrl-C. To look around, in another terminal:
  MLflow's UI         ${testbed.mlflowTrackingUri}/#/models/${MODEL}/versions/${version} (set or remove the tag deploy there)
  the cluster         export KUBECONFIG=${testbed.kubeconfig}
                      ${testbed.kubectl} -n ${NAMESPACE} get inferenceservices
  the module          curl ${endpoint}/health; curl ${endpoint}/services
  logs of all parts   ${testbed.logDirectory}`);
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

void main();
