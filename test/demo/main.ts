// `npm start`: everything that the project is about, on this machine, in one run. With --once it also takes everything
// down again and ends.
import { parseArgs } from "node:util";
import { messageOf } from "../../capabilities/observability/logging";
import { say } from "../support/command-output";
import { inferenceRequest } from "../testbed/inference";
import type { ModelAddress } from "../testbed/inference";
import { TESTBED_FLAGS } from "../testbed/options";
import { untilAskedToStop } from "../testbed/stopping";
import { curlCommand } from "./printing";
import { MODEL, NAMESPACE, setTheStage } from "./stage";
import type { Closing, Stage } from "./stage";
import { askBoth, deploy, FLOWERS, takeDown } from "./story";

const HELP = `Shows mlflow-kserve at work: starts MLflow and Kubernetes with KServe, runs the module, trains and registers a
small model twice, sets the tag deploy=true on it, and has the model that KServe serves make a prediction. Then the second
version is tagged, and the first one taken down. Stays up until Ctrl-C.

Usage: npm start [-- --once] [--kubeconfig FILE] [--mlflow URL]

  --once              remove the second tag as well, show the InferenceService go, and end
  --kubeconfig FILE   use this cluster instead of starting one; it must have KServe (or: KUBECONFIG)
  --mlflow URL        use this MLflow server instead of starting one (or: MLFLOW_TRACKING_URI); it must be able to reach
                      this machine's 127.0.0.1 and accept http webhooks to private addresses

With a cluster or an MLflow of your own it shows the InferenceServices, and no prediction.`;

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
  const closing: Closing = [];
  const close = async (): Promise<void> => {
    for (const end of closing.splice(0).reverse()) await end();
  };
  const show = async (): Promise<void> => {
    const started = Date.now();
    const stage = await setTheStage(argv, closing);
    const address = await play(stage);
    const [, second] = stage.versions;
    if (values.once) {
      await takeDown(stage, second);
      say(`\nDone in ${Math.round((Date.now() - started) / 1000)} s: the tags made the InferenceServices, and`);
      say("taking them away took them down.");
      return;
    }
    tellHowToGoOn(stage, second, address);
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

/** One version goes into service, then another beside it, then the first goes. Returns where the second can be asked. */
async function play(stage: Stage): Promise<ModelAddress | undefined> {
  const [first, second] = stage.versions;
  const one = await deploy(stage, first);
  const other = await deploy(stage, second);
  if (one && other) await askBoth([one, other]);
  await takeDown(stage, first);
  return other;
}

function tellHowToGoOn({ testbed, endpoint }: Stage, version: string, address: ModelAddress | undefined): void {
  say(`
It stays up until Ctrl-C. To look around, in another terminal:
  MLflow's UI         ${testbed.mlflowTrackingUri}/#/models/${MODEL}/versions/${version} (set or remove the tag deploy there)
  the cluster         export KUBECONFIG=${testbed.kubeconfig}
                      ${testbed.kubectl} -n ${NAMESPACE} get inferenceservices,pods
  the module          curl ${endpoint}/health; curl ${endpoint}/services
  logs of all parts   ${testbed.logDirectory}
                      (in pods/ those of the models' servers and downloads)`);
  if (address) say(`  a prediction\n    ${curlCommand(address, inferenceRequest(FLOWERS))}`);
}

void main();
