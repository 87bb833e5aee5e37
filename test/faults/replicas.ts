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

/** What is around copies of the module that run as processes of their own, with Pepr's runtime. */
export interface Surroundings {
  readonly truth: Truth;
  readonly mlflow: TamperingProxy;
  readonly apiServer: ApiServerProxy;
  /**
   * Starts a copy, which ends with the test; without a kubeconfig it goes through the proxy. Waits until Pepr's part of it
   * has started, unless `waitForPepr` is false: a fault that comes earlier is another one.
   */
  startReplica: (
    options: Pick<ReplicaOptions, "role"> &
      Partial<Pick<ReplicaOptions, "name" | "kubeconfig" | "settings" | "nodeOptions" | "environment">> & {
        readonly waitForPepr?: boolean;
      },
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
      waitForPepr = true,
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
      if (waitForPepr) await replica.ready();
      return replica;
    },
  };
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
