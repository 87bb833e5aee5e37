// `npm run scale`: a registry as a large organisation has it, deployed by the poll alone, and what each poll costs. Exit
// code 1 when a tagged version is missed.
import "./text-modules";
import { parseArgs } from "node:util";
import { messageOf } from "../../capabilities/observability/logging";
import { say, startTestbedAloud } from "../support/command-output";
import type { Testbed } from "../testbed";
import { kubectlFor } from "../testbed/kubectl";
import { untilAskedToStop } from "../testbed/stopping";
import { startMlflowWith } from "./large-registry";
import { describePollCost, POLL_COST_HEAD } from "./poll-cost";
import { runScale } from "./scale-run";

const HELP = `Fills a real MLflow with models of three versions each, of which half are tagged, lets the module poll, and checks
that each tagged version has its InferenceService in a real cluster. Prints what each poll costs. KServe's controller and
its admission webhooks are stopped for it: what it would make of 1,500 services, on the same processors, is not the module's.

Usage: npm run scale [-- --models N]

  --models N   how many (1000)`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { models: { type: "string", default: "1000" }, help: { type: "boolean", short: "h" } },
  });
  if (values.help) {
    say(HELP);
    return;
  }
  const asked = untilAskedToStop();
  const testbed = await startTestbedAloud();
  try {
    const problems = await Promise.race([check(testbed, Number(values.models)), asked]);
    if (typeof problems === "string") say(problems);
    else if (problems.length === 0) say("\nEvery tagged version has its service, and nothing else has.");
    else say(`\nIt is wrong:\n${problems.map(problem => `  ${problem}`).join("\n")}`);
    process.exitCode = problems.length === 0 ? 0 : 1;
  } finally {
    await testbed.stop();
  }
}

async function check(testbed: Testbed, count: number): Promise<string[]> {
  const { kubeconfig, parts, python, logDirectory } = testbed;
  const kubectl = kubectlFor(testbed.kubectl, kubeconfig, logDirectory);
  // With its webhooks: the API server would refuse every InferenceService that it cannot ask KServe about.
  await parts.kserve?.stop();
  await kubectl(["delete", "validatingwebhookconfigurations,mutatingwebhookconfigurations", "--all"]);
  await parts.mlflow?.stop();

  const models = Array.from({ length: count }, (_, index) => `model-${index + 1}`);
  const registry = { models, versions: 3, tagged: Math.floor(count * 1.5), tag: "deploy", runs: true };
  say(`\nFilling MLflow with ${count} models of ${registry.versions} versions, ${registry.tagged} of them tagged`);
  const { trackingUri } = await startMlflowWith(registry, { python, logDirectory });
  const namespace = "scale";
  await kubectl(["create", "namespace", namespace]);
  say(`\n${POLL_COST_HEAD}`);
  return await runScale({
    ...{ kubeconfig, mlflowTrackingUri: trackingUri, namespace, registry },
    onPoll: (name, cost) => {
      say(describePollCost(name, cost));
    },
  });
}

main()
  .catch((error: unknown) => {
    console.error(`It could not be checked: ${messageOf(error)}`);
    process.exitCode = 1;
  })
  .finally(() => process.exit());
