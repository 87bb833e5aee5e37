// `npm run compatibility`: plays the main cycle against releases of MLflow, and writes what came of it.
import { parseArgs } from "node:util";
import { messageOf } from "../../capabilities/observability/logging";
import { say } from "../support/command-output";
import { startTestbed, testbedOptionsFrom } from "../testbed";
import type { Testbed } from "../testbed";
import { kubectlFor } from "../testbed/kubectl";
import { TESTBED_FLAGS } from "../testbed/options";
import { untilAskedToStop } from "../testbed/stopping";
import { playCycle } from "./cycle";
import { writeTable } from "./document";
import type { ReleaseResult } from "./document";
import { MLFLOW_RELEASES, mlflowRelease, startRelease } from "./mlflow-environment";

const HELP = `Plays the main cycle (tagged, served, untagged, gone) against releases of MLflow from PyPI, by webhook and by poll.

Usage: npm run compatibility [-- --releases LIST] [--document FILE] [--kubeconfig FILE]

  --releases LIST     releases of MLflow, with commas between them (${MLFLOW_RELEASES.join(",")} when not given)
  --document FILE     a page to write the table into, between its marks; docs/compatibility.md is one
  --kubeconfig FILE   use this cluster instead of starting one (or: KUBECONFIG of a testbed)`;

async function main(): Promise<number> {
  const argv = process.argv.slice(2);
  const { values } = parseArgs({
    args: argv,
    options: {
      ...TESTBED_FLAGS,
      releases: { type: "string", default: MLFLOW_RELEASES.join(",") },
      document: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) {
    say(HELP);
    return 0;
  }
  let testbed: Testbed | undefined;
  const work = async (): Promise<number> => {
    testbed = await startTestbed({ ...testbedOptionsFrom(argv, process.env), progress });
    const results: ReleaseResult[] = [];
    for (const release of values.releases.split(",")) {
      const result = await tryRelease(testbed, release);
      results.push(result);
      say(JSON.stringify(result));
    }
    if (values.document !== undefined) await writeTable(values.document, results);
    return results.every(({ problem }) => problem === undefined) ? 0 : 1;
  };
  const ended = await Promise.race([work(), untilAskedToStop()]);
  if (typeof ended === "string") console.error(ended);
  await testbed?.stop();
  return typeof ended === "string" ? 130 : ended;
}

/** Never rejects: a release that does not work is a result. */
async function tryRelease(testbed: Testbed, release: string): Promise<ReleaseResult> {
  const { kubeconfig, kubectl, logDirectory } = testbed;
  try {
    const python = await mlflowRelease(release, progress);
    const server = await startRelease(python, logDirectory, release);
    try {
      const { trackingUri } = server;
      const name = `mlflow-${release}`;
      return {
        release,
        cycle: await playCycle({
          kubeconfig,
          kubectl: kubectlFor(kubectl, kubeconfig, logDirectory),
          logDirectory,
          trackingUri,
          name,
        }),
      };
    } finally {
      await server.stop();
    }
  } catch (error) {
    return { release, problem: messageOf(error) };
  }
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
