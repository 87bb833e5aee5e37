import path from "node:path";
import type { ModelVersionKey } from "../../capabilities/support/model-version-key";
import { inParallel } from "../../capabilities/support/in-parallel";
import { openRegistry } from "../support/mlflow-registry";
import { createReplica } from "../support/replica";
import type { Replica } from "../support/replica";
import { waitFor } from "../support/waiting";
import { createDeliveryMix } from "./delivery-mix";
import { createDriver } from "./delivery-driver";
import type { DriverReport } from "./delivery-driver";
import { leaksIn } from "./leak-verdict";
import type { LeakLimits, LeakMeasurement } from "./leak-verdict";
import { openDescriptors, pidOf, sampleReplica } from "./process-sample";
import type { Sample } from "./process-sample";
import { readMetrics } from "./prometheus-text";
import { createRandom } from "./random";

/** Milliseconds until unused connections to the API server are closed by their agent, which has a minute for that. */
const CONNECTIONS_CLOSED_WITHIN = 150_000;

/** Milliseconds without work after which none is to come: that is how long MLflow's disagreement with an event is looked at. */
const LOOKED_AT_FOR = 10_000;

/** Milliseconds without a new descriptor after which the start is over: Pepr's runtime opens connections of its own. */
const STARTED_AFTER = 5_000;

/**
 * The share of the deliveries after which nothing is new to the process any more. Of 100,000 the first 25,000 fill its
 * bounded caches, and V8 finds the size of its heap and compiles what is used often.
 */
const WARM_UP = 0.25;

/** Versions whose tag is set or taken away between two samples, so that services come and go. */
const CHANGES_PER_STEP = 4;

export interface LeakRunOptions {
  readonly kubeconfig: string;
  readonly mlflowTrackingUri: string;
  readonly namespace: string;
  readonly logDirectory: string;
  readonly deliveries: number;
  /** Samples after the warm-up. */
  readonly samples: number;
  /** Models of ten versions each. */
  readonly models: number;
  readonly seed: number;
  readonly limits: LeakLimits;
  /** Whether silent connections are waited for at the end, half a minute at the most, or cut. */
  readonly silent: "cut" | "wait";
  readonly onSample?: (sample: Sample) => void;
}

/** A run that has come to its end. */
export interface LeakRun extends LeakMeasurement {
  /** What is wrong; empty when nothing leaks. */
  readonly leaks: readonly string[];
  readonly report: DriverReport;
  /** Seconds in which the deliveries were sent. */
  readonly seconds: number;
}

const SECRET = "a secret that only MLflow and the module know";
const CLIENTS = 48;

/**
 * Sends deliveries of all kinds to a replica with its endpoint, which has the real MLflow and API server behind it, and
 * looks at its process again and again. For a sample the clients pause, and the process is made to collect its garbage:
 * what it holds then is held, not in use or not yet given back.
 */
export async function runLeakCheck(options: LeakRunOptions): Promise<LeakRun> {
  const { deliveries, samples: wanted, onSample = () => undefined } = options;
  const random = createRandom(options.seed);
  const registry = await registerVersions(options, random);
  const replica = await createReplica({
    name: `leaks-${options.namespace}`,
    role: "endpoint",
    kubeconfig: options.kubeconfig,
    logDirectory: options.logDirectory,
    settings: {
      MLFLOW_TRACKING_URI: options.mlflowTrackingUri,
      MLFLOW_WEBHOOK_SECRET: SECRET,
      KUBE_NAMESPACE: options.namespace,
    },
    nodeOptions: ["--expose-gc", "--require", path.resolve("test/load/preload/report-memory.cjs")],
  });
  try {
    await replica.start();
    const driver = createDriver(
      replica.url,
      createDeliveryMix({ secret: SECRET, deployTagKey: "deploy", versions: registry.versions, random }),
    );
    const look = async (sent: number): Promise<Sample> => {
      const sample = await sampleReplica(replica, sent);
      onSample(sample);
      return sample;
    };
    await waitUntilStarted(replica);
    const start = await look(0);
    const began = performance.now();
    let sent = Math.round(deliveries * WARM_UP);
    await driver.send(sent, CLIENTS);
    const samples: Sample[] = [];
    for (let step = 1; step <= wanted; step++) {
      const until = Math.round(deliveries * (WARM_UP + ((1 - WARM_UP) * step) / wanted));
      await Promise.all([driver.send(until - sent, CLIENTS), registry.change(CHANGES_PER_STEP)]);
      sent = until;
      samples.push(await look(sent));
    }
    const seconds = (performance.now() - began) / 1000;
    await driver.finish(options.silent);
    await waitUntilDone(replica, start.descriptors + options.limits.descriptors);
    const end = await look(sent);
    const measurement = { start, samples, end, incidents: incidentsOf(replica, driver.report) };
    return { ...measurement, leaks: leaksIn(measurement, options.limits), report: driver.report, seconds };
  } finally {
    await replica.terminate();
  }
}

async function waitUntilStarted(replica: Replica): Promise<void> {
  let [descriptors, since] = [0, performance.now()];
  await waitFor("the end of the start", () => {
    const now = openDescriptors(pidOf(replica));
    if (now !== descriptors) [descriptors, since] = [now, performance.now()];
    return performance.now() - since > STARTED_AFTER || undefined;
  });
}

/** Gives time for what is to be closed and done; whether it is, the verdict says. */
async function waitUntilDone(replica: Replica, descriptors: number): Promise<void> {
  let since = performance.now();
  const isDone = async (): Promise<true | undefined> => {
    const isBusy = (await readMetrics(replica.url)).value("reconcile_queue_depth") !== 0;
    if (isBusy) since = performance.now();
    if (isBusy || openDescriptors(pidOf(replica)) > descriptors) return undefined;
    return performance.now() - since > LOOKED_AT_FOR || undefined;
  };
  await waitFor("the end of all work", isDone, CONNECTIONS_CLOSED_WITHIN).catch(() => undefined);
}

function incidentsOf(replica: Replica, { unexpected }: DriverReport): string[] {
  const incidents = unexpected.map(answer => `an unexpected answer: ${answer}`);
  if (replica.crashes > 0 || replica.pid === undefined) incidents.push("the process ended");
  for (const { msg, cause } of replica.logged) {
    if (/^Unexpected error|failed unexpectedly|could not be sent/.test(msg ?? "")) {
      incidents.push(`the log has "${msg ?? ""}": ${String(cause)}`);
    }
  }
  return incidents;
}

interface RegisteredVersions {
  readonly versions: readonly ModelVersionKey[];
  /** Sets or takes away the tag of some of them. */
  readonly change: (count: number) => Promise<void>;
}

/** Registers models with ten versions each, of which every other one is tagged. */
async function registerVersions(options: LeakRunOptions, random: () => number): Promise<RegisteredVersions> {
  const registry = openRegistry(options.mlflowTrackingUri);
  const tagged = new Map<ModelVersionKey, boolean>();
  const models = Array.from({ length: options.models }, (_, index) => `${options.namespace}-${index}`);
  await inParallel(models, 8, async model => {
    for (let count = 0; count < 10; count++) {
      const isTagged = count % 2 === 0;
      const tags: Record<string, string> = isTagged ? { deploy: "true" } : {};
      tagged.set(await registry.register(model, `s3://models/${model}/${count}`, tags), isTagged);
    }
  });
  const versions = [...tagged.keys()];
  return {
    versions,
    async change(count) {
      for (let changed = 0; changed < count; changed++) {
        const key = versions[Math.floor(random() * versions.length)];
        if (key === undefined) return;
        const isTagged = tagged.get(key) === true;
        const changing = isTagged ? registry.deleteTag(key, "deploy") : registry.setTag(key, "deploy", "true");
        await changing
          .then(() => tagged.set(key, !isTagged))
          // An MLflow that is too busy now makes the change with a later sample, or not at all: it is only for variety.
          .catch(() => undefined);
      }
    },
  };
}
