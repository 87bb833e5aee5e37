import { setTimeout as sleep } from "node:timers/promises";
import type { TestContext } from "vitest";
import { inject } from "vitest";
import { startApiServerProxy } from "../support/api-server-proxy";
import type { ApiServerProxy } from "../support/api-server-proxy";
import { SECRET } from "../support/listener-fixture";
import type { Answer } from "../support/listener-fixture";
import { createReplica } from "../support/replica";
import type { Replica, ReplicaOptions } from "../support/replica";
import { startTamperingProxy } from "../support/tampering-proxy";
import type { TamperingProxy } from "../support/tampering-proxy";
import { createNamespace } from "../testbed/namespaces";
import { establishTruth } from "./truth";
import type { Truth } from "./truth";

/** Milliseconds between SIGTERM and SIGKILL that the kubelet gives Pepr's pods (terminationGracePeriodSeconds). */
const GRACE_PERIOD = 5_000;

/** What is around copies of the module that run as processes of their own, with Pepr's runtime. */
export interface Surroundings {
  readonly truth: Truth;
  readonly mlflow: TamperingProxy;
  readonly apiServer: ApiServerProxy;
  /** Starts a copy, which ends with the test; without a kubeconfig it goes through the proxy. */
  startReplica: (
    options: Pick<ReplicaOptions, "role"> &
      Partial<Pick<ReplicaOptions, "name" | "kubeconfig" | "settings" | "nodeOptions" | "environment">>,
  ) => Promise<Replica>;
}

export async function surround(
  { onTestFinished }: Pick<TestContext, "onTestFinished">,
  {
    mlflowTrackingUri = inject("mlflowTrackingUri"),
    kubeconfig = inject("kubeconfig"),
    namespace = undefined as string | undefined,
    tag = undefined as string | undefined,
  } = {},
): Promise<Surroundings> {
  const [ownNamespace, mlflow, apiServer] = await Promise.all([
    namespace ?? createNamespace("fault"),
    startTamperingProxy(mlflowTrackingUri),
    startApiServerProxy({ kubeconfig, directory: inject("logDirectory") }),
  ]);
  onTestFinished(mlflow.close);
  onTestFinished(apiServer.close);
  const truth = await establishTruth(ownNamespace, {
    mlflowTrackingUri,
    kubeconfig,
    ...(tag === undefined ? {} : { tag }),
  });
  return {
    truth,
    mlflow,
    apiServer,
    async startReplica({
      role,
      name = role,
      kubeconfig: direct = apiServer.kubeconfig,
      settings = {},
      nodeOptions = [],
      environment = {},
    }) {
      const replica = await createReplica({
        name: `${ownNamespace}-${name}`,
        role,
        kubeconfig: direct,
        logDirectory: inject("logDirectory"),
        settings: {
          MLFLOW_TRACKING_URI: mlflow.url,
          MLFLOW_WEBHOOK_SECRET: SECRET,
          KUBE_NAMESPACE: ownNamespace,
          DEPLOY_TAG_KEY: truth.tag,
          POLLING_INTERVAL: "10",
          LOG_LEVEL: "DEBUG",
          ...settings,
        },
        nodeOptions,
        environment,
      });
      onTestFinished(() => replica.kill());
      await replica.start();
      return replica;
    },
  };
}

/** How a replica ended as the kubelet ends a pod: asked to, and killed when the pod's grace period is over. */
export interface Ended {
  /** Exit code, or the signal that ended it. */
  readonly how: number | string;
  readonly seconds: number;
}

export async function endAsKubelet(replica: Replica): Promise<Ended> {
  const start = performance.now();
  const over = new AbortController();
  const ended = replica.terminate().finally(() => {
    over.abort();
  });
  await Promise.race([ended, sleep(GRACE_PERIOD, undefined, { signal: over.signal }).catch(() => undefined)]);
  if (replica.pid !== undefined) await replica.kill();
  return { how: await ended, seconds: (performance.now() - start) / 1000 };
}

/** Answers to deliveries, and in words how many got none. */
export async function settleAnswers(
  deliveries: readonly Promise<Answer>[],
): Promise<{ answers: Answer[]; unanswered: number }> {
  const settled = await Promise.allSettled(deliveries);
  const answers = settled.flatMap(one => (one.status === "fulfilled" ? [one.value] : []));
  return { answers, unanswered: settled.length - answers.length };
}

/** How many versions an endpoint is working on, or has waiting. */
export async function queueDepth(url: string): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  return Number(/^reconcile_queue_depth (\d+)$/m.exec(metrics)?.[1]);
}
