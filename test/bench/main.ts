// `npm run bench`: how fast the module is, beside what MLflow and the API server allow. Exit code 1 when something was
// answered wrongly, or answered and not applied.
import "../load/text-modules";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { messageOf } from "../../capabilities/observability/logging";
import { say, startTestbedAloud } from "../support/command-output";
import { testbedOptionsFrom } from "../testbed";
import type { Testbed } from "../testbed";
import { kubectlFor } from "../testbed/kubectl";
import { untilAskedToStop } from "../testbed/stopping";
import { writeDocument } from "./document";
import { HELP, parseOptions } from "./options";
import type { BenchOptions } from "./options";
import { measureTarget } from "./parts/target";
import { textTables } from "./tables";
import { describeMachine, runBench } from "./run";
import type { BenchResults } from "./results";
import type { World } from "./world";

async function main(): Promise<void> {
  const argv = process.argv.slice(2);
  const options = parseOptions(argv);
  if (options.help) {
    say(HELP);
    return;
  }
  const machine = describeMachine("paused");
  const asked = untilAskedToStop();
  const testbed = await startTestbedAloud({
    ...testbedOptionsFrom(argv, process.env),
    // Another server is asked for by its name, and is at work in that cluster.
    ...(options.target !== undefined && { mayBeInUse: true }),
  });
  const command = `npm run bench${argv.length === 0 ? "" : ` -- ${argv.join(" ")}`}`;
  try {
    const ended = await Promise.race([bench(testbed, options, { machine, command }), asked]);
    if (typeof ended === "string") say(ended);
    process.exitCode = typeof ended === "string" || ended.length > 0 ? 1 : 0;
  } finally {
    await testbed.stop();
  }
}

async function bench(
  testbed: Testbed,
  options: BenchOptions,
  about: Pick<BenchResults, "machine" | "command">,
): Promise<readonly string[]> {
  const { kubeconfig, python, logDirectory, parts } = testbed;
  const kubectl = kubectlFor(testbed.kubectl, kubeconfig, logDirectory);
  const problems: string[] = [];
  const namespaces: string[] = [];
  const { profile } = options;
  if (profile !== undefined) mkdirSync(profile, { recursive: true });
  const world: World = {
    ...{ kubeconfig, kubectl, python, logDirectory, say, sizes: options.sizes },
    apiServerPart: parts["kube-apiserver"],
    profileDirectory: profile === undefined ? undefined : path.resolve(profile),
    problem: what => problems.push(what),
    async createNamespace(prefix) {
      const name = `bench-${prefix}-${process.pid}-${namespaces.length}`;
      await kubectl(["create", "namespace", name]);
      namespaces.push(name);
      return name;
    },
  };
  try {
    if (options.target !== undefined) {
      const target = await measureTarget(world, options.target, testbed.mlflowTrackingUri);
      await report({ ...about, made: new Date().toISOString(), target, problems }, options);
      return problems;
    }
    const kserve = parts.kserve === undefined ? "running" : "paused";
    if (parts.kserve !== undefined) {
      // With its webhooks: the API server would refuse every InferenceService that it cannot ask KServe about.
      await parts.kserve.stop();
      await kubectl(["delete", "validatingwebhookconfigurations,mutatingwebhookconfigurations", "--all"]);
    }
    const measured = await runBench(world, options.only, testbed.mlflowTrackingUri, () => parts.mlflow?.stop());
    const machine = { ...about.machine, kserve } as const;
    await report({ ...about, machine, made: new Date().toISOString(), ...measured, problems }, options);
    return problems;
  } finally {
    // A cluster of our own goes with all that is in it.
    if (parts["kube-apiserver"] === undefined && namespaces.length > 0)
      await kubectl(["delete", "namespace", "--wait=false", ...namespaces]);
  }
}

async function report(results: BenchResults, { json, document }: BenchOptions): Promise<void> {
  for (const line of textTables(results)) say(line);
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(results, undefined, 2)}\n`);
  if (document !== undefined) await writeDocument(document, results);
  for (const problem of results.problems) say(`WRONG: ${problem}`);
}

main()
  .catch((error: unknown) => {
    console.error(`It could not be measured: ${messageOf(error)}`);
    process.exitCode = 1;
  })
  .finally(() => process.exit());
