import type { TestContext } from "vitest";
import { inject } from "vitest";
import { readConfiguration } from "../../capabilities/configuration/configuration";
import { connectToApiServer } from "../../capabilities/kubernetes/api-server";
import { createListener } from "../../capabilities/module";
import type { Listener } from "../../capabilities/module";
import type { ModelVersionKey } from "../../capabilities/support/model-version-key";
import type { ResyncReport } from "../../capabilities/reconciliation/resync";
import { startApiServerProxy } from "../support/api-server-proxy";
import type { ApiServerProxy } from "../support/api-server-proxy";
import { kubeConfigFrom } from "../support/kube-config";
import { SECRET } from "../support/listener-fixture";
import type { Answer } from "../support/listener-fixture";
import { startTamperingProxy } from "../support/tampering-proxy";
import type { TamperingProxy } from "../support/tampering-proxy";
import { recordingLog } from "../support/unit/recording-log";
import type { RecordedLine } from "../support/unit/recording-log";
import { createNamespace } from "../testbed/namespaces";
import { recordFault } from "./fault-table";
import type { FaultRow } from "./fault-table";
import { deliver, describeAnswers, establishTruth } from "./truth";
import type { DeliveryOptions, Truth } from "./truth";

type Context = Pick<TestContext, "onTestFinished">;

/** The module in the test's process, polling every ten seconds. */
export interface Module {
  readonly listener: Listener;
  readonly url: string;
  readonly logged: readonly RecordedLine[];
  deliver: (key: ModelVersionKey, options?: DeliveryOptions) => Promise<Answer>;
}

/** A module of its own with a proxy on either side, and what it should make true; nothing is shared between tests. */
export interface World extends Module {
  readonly truth: Truth;
  readonly mlflow: TamperingProxy;
  readonly apiServer: ApiServerProxy;
}

export interface WorldOptions {
  readonly mlflowTrackingUri?: string;
  /** Of the module; the test itself is always the administrator. */
  readonly kubeconfig?: string;
  readonly namespace?: string;
  /** Settings without their prefix. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Starts the module and waits until it has deployed what is tagged. All ends with the test. */
export async function startWorld(context: Context, options: WorldOptions = {}): Promise<World> {
  const { mlflowTrackingUri = inject("mlflowTrackingUri"), kubeconfig = inject("kubeconfig") } = options;
  const [namespace, mlflow, apiServer] = await Promise.all([
    options.namespace ?? createNamespace("fault"),
    startTamperingProxy(mlflowTrackingUri),
    startApiServerProxy({ kubeconfig, directory: inject("logDirectory") }),
  ]);
  context.onTestFinished(mlflow.close);
  context.onTestFinished(apiServer.close);
  const truth = await establishTruth(namespace, { mlflowTrackingUri });
  const module = await startModule(context, truth, mlflow.url, apiServer.kubeconfig, options.settings);
  await truth.remember();
  await module.listener.idle();
  return { ...module, truth, mlflow, apiServer };
}

/**
 * Starts one more module for the same truth, until the end of the test.
 *
 * @param changes settings without their prefix
 */
export async function startModule(
  { onTestFinished }: Context,
  { namespace, tag }: Truth,
  mlflowTrackingUri: string,
  kubeconfig: string,
  changes: Readonly<Record<string, string>> = {},
): Promise<Module> {
  const { log, lines } = recordingLog();
  const settings = {
    MLFLOW_TRACKING_URI: mlflowTrackingUri,
    MLFLOW_WEBHOOK_SECRET: SECRET,
    APP_HOST: "127.0.0.1",
    APP_PORT: "0",
    KUBE_NAMESPACE: namespace,
    DEPLOY_TAG_KEY: tag,
    POLLING_INTERVAL: "10",
    LOG_LEVEL: "DEBUG",
    ...changes,
  };
  const listener = createListener({
    ...readConfiguration(
      Object.fromEntries(Object.entries(settings).map(([name, value]) => [`MLFLOW_KSERVE_${name}`, value])),
    ),
    apiServer: connectToApiServer(15_000, kubeConfigFrom(kubeconfig)),
    log,
  });
  // It ends before the proxies do: what was asked for last is done first.
  onTestFinished(() => listener.stop());
  const { port } = await listener.serve(true);
  const url = `http://127.0.0.1:${port}`;
  listener.startPolling();
  return { listener, url, logged: lines, deliver: (key, how) => deliver(url, tag, key, how) };
}

export interface Fault extends Pick<FaultRow, "group" | "fault"> {
  readonly begin: () => unknown;
  readonly end: () => unknown;
  /** true: MLflow is changed before the fault, because it cannot be during it. */
  readonly changeFirst?: boolean;
  /** false: nothing is delivered, and the poll is alone with it. */
  readonly delivered?: boolean;
}

/** What happened while a fault was there. */
export interface RiddenOut {
  readonly answers: readonly Answer[];
  /** What the poll said; undefined when it failed. */
  readonly polled: ResyncReport | undefined;
  /** What was logged as an error or a warning. */
  readonly complaints: readonly string[];
}

/**
 * Lets a fault begin, changes in MLflow what is to be deployed, has it delivered and polls; ends the fault, and waits
 * until the cluster is what MLflow says. Fails when what was to stay did not. Records the row.
 */
export async function rideOut(world: World, produced: Fault): Promise<RiddenOut> {
  const { truth, listener, logged } = world;
  const { group, fault, begin, end, delivered = true, changeFirst = false } = produced;
  // The timer's poll may be under way: what it has read already is not what the fault makes of it.
  await listener.poll();
  const from = logged.length;
  if (changeFirst) await truth.change();
  await begin();
  if (!changeFirst) await truth.change();
  const answers = delivered
    ? await Promise.all([world.deliver(truth.added), world.deliver(truth.leaving, { action: "deleted" })])
    : [];
  const polled = await listener.poll();
  await truth.expectUntouched();
  const complaints = complaintsOf(logged.slice(from));
  const inSpiteOfIt = await truth.isConverged();
  await end();
  const convergedAfter = await truth.converged();
  await listener.idle();
  await truth.expectUntouched();
  const poll = polled === undefined ? "poll: failed, nothing changed" : `poll: ${polled.tagged} found`;
  const cause = polled === undefined ? ` (${complaints.at(-1) ?? ""})` : "";
  recordFault({
    group,
    fault,
    sent: `tag set, tag deleted: ${delivered ? "2 deliveries, " : ""}1 poll`,
    answer: delivered ? `${describeAnswers(answers)}; ${poll}` : poll + cause,
    convergedAfter: inSpiteOfIt ? 0 : convergedAfter,
    by: inSpiteOfIt ? "the same, in spite of it" : "the next poll",
    lost: "nothing",
  });
  return { answers, polled, complaints };
}

function complaintsOf(lines: readonly RecordedLine[]): string[] {
  return lines
    .filter(({ level }) => level === "error" || level === "warn")
    .map(({ message, fields }) => (typeof fields.cause === "string" ? `${message}: ${fields.cause}` : message));
}
