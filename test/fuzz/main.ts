// `npm run fuzz`: tries everything that must hold whatever comes, on as many inputs as there is time for.
import { createHash, randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { connectToApiServer } from "../../capabilities/kubernetes/api-server";
import type { ApiServer } from "../../capabilities/kubernetes/api-server";
import { messageOf } from "../../capabilities/observability/logging";
import { kubeConfigFrom } from "../support/kube-config";
import { say } from "../support/command-output";
import { startTestbed, testbedOptionsFrom } from "../testbed";
import { TESTBED_FLAGS } from "../testbed/options";
import { untilAskedToStop } from "../testbed/stopping";
import { startFuzzedEndpoint } from "./endpoint";
import type { FuzzedEndpoint } from "./endpoint";
import type { FuzzProperty } from "./fuzz-property";
import { admissionProperties } from "./properties/admission";
import { endpointProperties } from "./properties/endpoint";
import { PURE_PROPERTIES } from "./pure";

const HELP = `Tries hostile input on the served endpoint, rendering, names, and on what the real API server makes of them.

Usage: npm run fuzz [-- --minutes N] [--seed S] [--only TEXT] [--replay SEED:PATH] [--kubeconfig FILE] [--mlflow URL]

  --minutes N         how long to go on (10 when not given)
  --seed S            the run with the same seed tries the same inputs; a new one when not given
  --only TEXT         only properties with this text in their names
  --replay SEED:PATH  only the one input that a failure printed; --only must name its property
  --kubeconfig FILE   use this cluster instead of starting one (or: KUBECONFIG of a testbed)
  --mlflow URL        use this MLflow server instead of starting one (or: that of a testbed)`;

/** Values tried between two looks at the clock, and milliseconds in each round, for each kind of property. */
const PURE = { numRuns: 200, milliseconds: 1_000 };
const SYSTEM = { numRuns: 10, milliseconds: 8_000 };

interface Target {
  readonly property: FuzzProperty;
  readonly pace: typeof PURE;
  chunks: number;
  inputs: number;
  milliseconds: number;
  failure?: string;
}

async function main(): Promise<void> {
  const argv = process.argv.slice(2);
  const { values } = parseArgs({
    args: argv,
    options: {
      ...TESTBED_FLAGS,
      minutes: { type: "string", default: "10" },
      seed: { type: "string", default: String(randomBytes(4).readUInt32BE()) },
      only: { type: "string", default: "" },
      replay: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  const minutes = Number(values.minutes);
  if (values.help || !(minutes > 0)) {
    say(HELP);
    if (!values.help) process.exitCode = 2;
    return;
  }
  const asked = untilAskedToStop();
  const closing: (() => Promise<unknown>)[] = [];
  const run = async (): Promise<boolean> => {
    const { endpoint, apiServer } = await setTheStage(argv, closing);
    const targets = [
      ...PURE_PROPERTIES.map(property => ({ property, pace: PURE })),
      ...endpointProperties(endpoint).map(property => ({ property, pace: SYSTEM })),
      ...admissionProperties(apiServer, endpoint.namespace).map(property => ({ property, pace: SYSTEM })),
    ]
      .filter(({ property }) => property.name.includes(values.only))
      .map((target): Target => ({ ...target, chunks: 0, inputs: 0, milliseconds: 0 }));
    if (values.replay !== undefined) return await replay(targets, values.replay);
    say(`Seed ${values.seed}, ${minutes} min, ${targets.length} properties`);
    return await goOn(targets, values.seed, Date.now() + minutes * 60_000, endpoint);
  };
  try {
    const ended = await Promise.race([run(), asked]);
    if (typeof ended === "string") say(ended);
    process.exitCode = ended === true ? 0 : 1;
  } catch (error) {
    console.error(`The fuzzing did not come to an end: ${messageOf(error)}`);
    process.exitCode = 1;
  }
  for (const close of closing.reverse()) await close();
  process.exit();
}

async function setTheStage(
  argv: readonly string[],
  closing: (() => Promise<unknown>)[],
): Promise<{ endpoint: FuzzedEndpoint; apiServer: ApiServer }> {
  const testbed = await startTestbed({
    ...testbedOptionsFrom(argv, process.env),
    progress: message => {
      console.error(message);
    },
  });
  closing.push(() => testbed.stop());
  const apiServer = connectToApiServer(15_000, kubeConfigFrom(testbed.kubeconfig));
  const namespace = `fuzz-${randomBytes(3).toString("hex")}`;
  const body = { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } };
  await apiServer({ method: "POST", path: "/api/v1/namespaces", body });
  closing.push(() => apiServer({ method: "DELETE", path: `/api/v1/namespaces/${namespace}` }));
  const { kubeconfig, mlflowTrackingUri } = testbed;
  const endpoint = await startFuzzedEndpoint({ kubeconfig, mlflowTrackingUri, namespace });
  closing.push(() => endpoint.stop());
  return { endpoint, apiServer };
}

/** Goes round the targets until the time is over; one that failed is left out from then on. */
async function goOn(targets: Target[], seed: string, end: number, endpoint: FuzzedEndpoint): Promise<boolean> {
  const started = Date.now();
  let healthy = true;
  while (healthy && Date.now() < end && targets.some(({ failure }) => failure === undefined)) {
    for (const target of targets) {
      if (target.failure !== undefined || Date.now() >= end) continue;
      await fuzz(target, seed, Math.min(end, Date.now() + target.pace.milliseconds));
    }
    try {
      await endpoint.checkStillWorking();
    } catch (error) {
      healthy = false;
      say(`The endpoint does not work any more: ${messageOf(error)}`);
    }
    const inputs = targets.reduce((sum, target) => sum + target.inputs, 0);
    say(`${Math.round((Date.now() - started) / 1000)} s: ${inputs} inputs, valid deliveries work`);
  }
  const statuses = [...endpoint.statuses].sort(([one], [other]) => one - other);
  say(`Answers by status: ${statuses.map(([status, times]) => `${status}: ${times}`).join(", ")}`);
  return summarise(targets, seed, Date.now() - started) && healthy;
}

async function fuzz(target: Target, seed: string, until: number): Promise<void> {
  const { property, pace } = target;
  const start = performance.now();
  do {
    const digest = createHash("sha256").update(`${seed} ${property.name} ${target.chunks++}`).digest();
    const { inputs, failure } = await property.check({ seed: digest.readInt32BE(), numRuns: pace.numRuns });
    target.inputs += inputs;
    if (failure === undefined) continue;
    target.failure = failure.report;
    say(`\nIt does not hold that ${property.name}:\n${failure.report}`);
    say(`Replay: npm run fuzz -- --only ${JSON.stringify(property.name)} --replay=${failure.replay}\n`);
  } while (target.failure === undefined && Date.now() < until);
  target.milliseconds += performance.now() - start;
}

async function replay(targets: readonly Target[], input: string): Promise<boolean> {
  const [target, ...others] = targets;
  if (target === undefined || others.length > 0) throw new Error("--only must name one property to replay");
  const [seed = "", ...path] = input.split(":");
  const { failure } = await target.property.check({ seed: Number(seed), path: path.join(":"), numRuns: 1 });
  say(failure === undefined ? `It holds now that ${target.property.name}` : failure.report);
  return failure === undefined;
}

function summarise(targets: readonly Target[], seed: string, milliseconds: number): boolean {
  say(`\n${"inputs".padStart(10)}  ${"per s".padStart(7)}  it holds that`);
  for (const { property, inputs, milliseconds: spent, failure } of targets) {
    const rate = spent > 0 ? Math.round((inputs / spent) * 1000) : 0;
    const held = failure === undefined ? "" : "  — FAILED";
    say(`${String(inputs).padStart(10)}  ${String(rate).padStart(7)}  ${property.name}${held}`);
  }
  const total = targets.reduce((sum, { inputs }) => sum + inputs, 0);
  const failed = targets.filter(({ failure }) => failure !== undefined).length;
  const seconds = Math.round(milliseconds / 1000);
  say(
    `${total} inputs in ${seconds} s with seed ${seed}; ${targets.length - failed} properties held, ${failed} failed`,
  );
  return failed === 0;
}

void main();
