import { parseArgs } from "node:util";
import { cacheDirectory } from "./cache";
import { startTestbed } from "./index";
import { TESTBED_FLAGS, testbedOptionsFromFlags } from "./options";
import { untilAskedToStop } from "./stopping";

const HELP = `Starts real systems to try mlflow-kserve with, and keeps them up until Ctrl-C: Kubernetes with KServe (pods are
simulated by kwok, but for predictors in namespaces that were made for them, see docs/testbed.md), an MLflow server and
an S3 server for its artifacts, all on loopback. The first start builds them, which takes minutes; later starts take
seconds.

Usage: npm run testbed -- [--kubeconfig FILE] [--mlflow URL]

  --kubeconfig FILE   use this cluster instead of starting one; it must have KServe, and
                      nothing of mlflow-kserve; the variable KUBECONFIG is not looked at
  --mlflow URL        use this MLflow server instead of starting one
  --help              show this text

Environment:
  KUBEBUILDER_ASSETS   a folder with etcd, kube-apiserver and kubectl to use instead of building them
  MLFLOW_KSERVE_CACHE  the folder for what is built and for the logs (now ${cacheDirectory()});
                       it may be removed at any time, at the price of another build

It prints the variables to set in another shell; progress goes to standard error.`;

async function main(): Promise<void> {
  const argv = process.argv.slice(2);
  const { values } = parseArgs({ args: argv, options: { ...TESTBED_FLAGS, help: { type: "boolean" } } });
  if (values.help) {
    console.log(HELP);
    return;
  }
  const asked = untilAskedToStop();
  const starting = startTestbed({
    ...testbedOptionsFromFlags(argv),
    progress: message => {
      console.error(message);
    },
  });
  const testbed = await Promise.race([starting, asked]);
  if (typeof testbed === "string") {
    // In the middle of a start: what runs already ends with our process.
    console.error(testbed);
    process.exit(130);
  }
  console.log(`export KUBECONFIG=${quote(testbed.kubeconfig)}`);
  console.log(`export MLFLOW_TRACKING_URI=${quote(testbed.mlflowTrackingUri)}`);
  console.log(`# kubectl: ${testbed.kubectl}`);
  console.log(`# logs: ${testbed.logDirectory}`);
  console.error("Ready. Ctrl-C ends it.");
  console.error(await asked);
  await testbed.stop();
  process.exit(0);
}

function quote(value: string): string {
  return /^[\w./:@-]+$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`;
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});
