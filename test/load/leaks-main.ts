// `npm run leaks`: does a module that runs for long hold on to memory, connections or anything else? Sends deliveries of
// all kinds to a copy of the module between real systems and watches its process; then lets another poll. Exit code 1
// when something leaks.
import { parseArgs } from "node:util";
import { messageOf } from "../../capabilities/observability/logging";
import { installPeprStore } from "../support/pepr-store";
import { say, startTestbedAloud } from "../support/command-output";
import { testbedOptionsFrom } from "../testbed";
import type { Testbed } from "../testbed";
import { kubectlFor } from "../testbed/kubectl";
import { TESTBED_FLAGS } from "../testbed/options";
import { untilAskedToStop } from "../testbed/stopping";
import { runLeakCheck } from "./leak-run";
import { describeRun, describeSample, SAMPLE_HEAD } from "./leaks-printing";

const HELP = `Sends deliveries to a copy of the module between real MLflow and Kubernetes: correct ones, duplicates, hostile
names, wrong signatures, malformed bodies, cut and silent connections. Fails when its memory grows by more than 10 % after
the first quarter, descriptors stay open, the queue is not empty, or the process ends or reports an unexpected error.

Usage: npm run leaks [-- --deliveries N] [--seed N] [--kubeconfig FILE] [--mlflow URL]

  --deliveries N      how many (100000)
  --seed N            another choice of deliveries (1)
  --kubeconfig FILE   use this cluster instead of starting one; it must have KServe (or: KUBECONFIG of a testbed)
  --mlflow URL        use this MLflow server instead of starting one (or: that of a testbed)`;

async function main(): Promise<void> {
  const argv = process.argv.slice(2);
  const { values } = parseArgs({
    args: argv,
    options: {
      ...TESTBED_FLAGS,
      deliveries: { type: "string", default: "100000" },
      seed: { type: "string", default: "1" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) {
    say(HELP);
    return;
  }
  const asked = untilAskedToStop();
  const testbed = await startTestbedAloud(testbedOptionsFrom(argv, process.env));
  try {
    const leaks = await Promise.race([check(testbed, Number(values.deliveries), Number(values.seed)), asked]);
    if (typeof leaks === "string") say(leaks);
    else if (leaks.length === 0) say("\nNothing leaks.");
    else say(`\nIt leaks:\n${leaks.map(leak => `  ${leak}`).join("\n")}`);
    process.exitCode = leaks.length === 0 ? 0 : 1;
  } finally {
    await testbed.stop();
  }
}

async function check(testbed: Testbed, deliveries: number, seed: number): Promise<readonly string[]> {
  const { kubeconfig, mlflowTrackingUri, logDirectory } = testbed;
  const kubectl = kubectlFor(testbed.kubectl, kubeconfig, logDirectory);
  await installPeprStore(kubectl, kubeconfig);
  const namespace = `leaks-${process.pid}`;
  await kubectl(["create", "namespace", namespace]);
  say(`\n${deliveries} deliveries, seed ${seed}; KServe's controller runs beside it\n\n${SAMPLE_HEAD}`);
  try {
    const run = await runLeakCheck({
      ...{ kubeconfig, mlflowTrackingUri, namespace, logDirectory, deliveries, seed },
      models: 20,
      samples: 45,
      silent: "wait",
      limits: { resident: 0.1, heap: 0.1, descriptors: 0 },
      onSample: sample => {
        say(describeSample(sample));
      },
    });
    for (const line of describeRun(run)) say(line);
    return run.leaks;
  } finally {
    await kubectl(["delete", "namespace", "--wait=false", namespace]);
  }
}

main()
  .catch((error: unknown) => {
    console.error(`It could not be checked: ${messageOf(error)}`);
    process.exitCode = 1;
  })
  .finally(() => process.exit());
