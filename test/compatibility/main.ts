// `npm run compatibility`: plays the main cycle against releases of MLflow, and writes what came of it.
import { parseArgs } from "node:util";
import { messageOf } from "../../capabilities/observability/logging";
import { say } from "../support/command-output";
import { startTestbed, testbedOptionsFrom } from "../testbed";
import type { Testbed, TestbedOptions } from "../testbed";
import { kubectlFor } from "../testbed/kubectl";
import { TESTBED_FLAGS } from "../testbed/options";
import { untilAskedToStop } from "../testbed/stopping";
import { playCycle } from "./cycle";
import type { CycleResult } from "./cycle";
import { writeTable } from "./document";
import type { ReleaseResult } from "./document";
import { KSERVE_RELEASES, kserveModule } from "./kserve-releases";
import { MLFLOW_RELEASES, mlflowRelease, startRelease } from "./mlflow-environment";

const HELP = `Plays the main cycle (tagged, served, untagged, gone) against releases of MLflow from PyPI, by webhook and by poll,
or with --kserve against releases of KServe, each in a cluster of its own.

Usage: npm run compatibility [-- --releases LIST] [--document FILE] [--kubeconfig FILE]
       npm run compatibility -- --kserve LIST [--document FILE]

  --releases LIST     releases of MLflow, with commas between them (${MLFLOW_RELEASES.join(",")} when not given)
  --kserve LIST       releases of KServe instead (${KSERVE_RELEASES.join(",")}); all, or some with commas between them
  --document FILE     a page to write the table into, between its marks; docs/compatibility.md is one
  --kubeconfig FILE   use this cluster instead of starting one (or: KUBECONFIG of a testbed)`;

async function main(): Promise<number> {
  const argv = process.argv.slice(2);
  const { values } = parseArgs({
    args: argv,
    options: {
      ...TESTBED_FLAGS,
      releases: { type: "string", default: MLFLOW_RELEASES.join(",") },
      kserve: { type: "string" },
      document: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) {
    say(HELP);
    return 0;
  }
  const { kserve } = values;
  const subject = kserve === undefined ? "MLflow" : "KServe";
  const work = async (): Promise<number> => {
    const results =
      kserve === undefined
        ? await tryMlflows(testbedOptionsFrom(argv, process.env), values.releases.split(","))
        : await tryKserves(kserve.split(","));
    if (values.document !== undefined) await writeTable(values.document, subject, results);
    return results.every(({ problem }) => problem === undefined) ? 0 : 1;
  };
  const ended = await Promise.race([work(), untilAskedToStop()]);
  if (typeof ended === "string") console.error(ended);
  await testbed?.stop();
  return typeof ended === "string" ? 130 : ended;
}

/** The one that runs now. */
let testbed: Testbed | undefined;

async function tryMlflows(options: TestbedOptions, releases: readonly string[]): Promise<ReleaseResult[]> {
  const started = (testbed = await startTestbed({ ...options, progress }));
  return await inTurn(releases, async release => {
    const server = await startRelease(await mlflowRelease(release, progress), started.logDirectory, release);
    try {
      return await play(started, server.trackingUri, `mlflow-${release}`);
    } finally {
      await server.stop();
    }
  });
}

async function tryKserves(releases: readonly string[]): Promise<ReleaseResult[]> {
  return await inTurn(releases, async release => {
    const kserve = kserveModule(release);
    const started = (testbed = await startTestbed({ kserve, progress }));
    try {
      return await play(started, started.mlflowTrackingUri, `kserve-${release}`);
    } finally {
      await started.stop();
    }
  });
}

/** A release that does not work is a result. */
async function inTurn(
  releases: readonly string[],
  attempt: (release: string) => Promise<CycleResult>,
): Promise<ReleaseResult[]> {
  const results: ReleaseResult[] = [];
  for (const release of releases) {
    const result = await attempt(release).then(
      (cycle): ReleaseResult => ({ release, cycle }),
      (error: unknown): ReleaseResult => ({ release, problem: messageOf(error) }),
    );
    results.push(result);
    say(JSON.stringify(result));
  }
  return results;
}

async function play(
  { kubeconfig, kubectl, logDirectory }: Testbed,
  trackingUri: string,
  name: string,
): Promise<CycleResult> {
  return await playCycle({
    kubeconfig,
    kubectl: kubectlFor(kubectl, kubeconfig, logDirectory),
    logDirectory,
    trackingUri,
    name,
  });
}

function progress(message: string): void {
  console.error(message);
}

main().then(
  code => process.exit(code),
  (error: unknown) => {
    console.error(messageOf(error));
    process.exit(1);
  },
);
