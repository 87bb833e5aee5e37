// `npm start`: everything that the project is about, on this machine, in one run. With --once it also takes everything
// down again and ends.
import { parseArgs } from "node:util";
import { messageOf } from "../../capabilities/observability/logging";
import { checkMachine, testbedOptionsFromFlags } from "../testbed";
import { TESTBED_FLAGS } from "../testbed/options";
import { untilAskedToStop } from "../testbed/stopping";
import type { Closing } from "./stage";

const HELP = `Shows mlflow-kserve at work: starts MLflow and Kubernetes with KServe, runs the module, trains and registers a
small model twice, sets the tag deploy=true on it, and has the model that KServe serves make a prediction. Then the second
version is tagged, and the first one taken down. Stays up until Ctrl-C.

Usage: npm start [-- --once] [--kubeconfig FILE] [--mlflow URL]

  --once              remove the second tag as well, show the InferenceService go, and end
  --kubeconfig FILE   use this cluster instead of starting one; it must have KServe, and
                      nothing of mlflow-kserve: what is made there has a namespace and names of its own, and goes at
                      the end; the variable KUBECONFIG is not looked at
  --mlflow URL        use this MLflow server instead of starting one; it must be able to reach this machine's 127.0.0.1
                      and accept http webhooks to private addresses; the model has a name of its own there, and goes
                      at the end; the variable MLFLOW_TRACKING_URI is not looked at

With a cluster or an MLflow of your own it shows the InferenceServices, and no prediction.`;

async function main(): Promise<void> {
  const argv = process.argv.slice(2);
  const { values } = parseArgs({
    args: argv,
    options: { ...TESTBED_FLAGS, once: { type: "boolean" }, help: { type: "boolean", short: "h" } },
  });
  if (values.help) {
    console.log(HELP);
    return;
  }
  const asked = untilAskedToStop();
  const closing: Closing = [];
  const close = async (): Promise<void> => {
    for (const end of closing.splice(0).reverse()) {
      // What cannot be ended must not keep the rest from being ended.
      await Promise.resolve(end()).catch(complain);
    }
  };
  try {
    await checkMachine(testbedOptionsFromFlags(argv));
    // Only now: loading all of it takes longer than to say what is missing.
    const { show } = await import("./show");
    const interrupted = await Promise.race([show(argv, { once: values.once ?? false, asked }, closing), asked]);
    if (typeof interrupted === "string") console.log(interrupted);
  } catch (error) {
    complain(error);
  }
  await close();
  process.exit();
}

function complain(error: unknown): void {
  console.error(`\nIt did not work: ${messageOf(error)}`);
  for (let cause = error; cause instanceof Error && cause.cause !== undefined; cause = cause.cause) {
    console.error(`  because: ${messageOf(cause.cause)}`);
  }
  process.exitCode = 1;
}

void main();
