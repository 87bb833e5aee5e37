import { inject } from "vitest";
import type { ApiServer } from "../../capabilities/kubernetes/api-server";
import { isRolledOut } from "../../capabilities/kserve/service-state";
import type { InferenceServices } from "../../capabilities/kserve/inference-services";
import { followObjects } from "./followed-objects";
import type { FollowedObject, FollowedObjects } from "./followed-objects";
import { listManaged } from "./managed-services";
import { waitFor } from "./waiting";

interface Deployment extends FollowedObject {
  readonly metadata: FollowedObject["metadata"] & { readonly generation: number };
  readonly spec: { readonly replicas: number };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly replicas?: number;
    readonly updatedReplicas?: number;
    readonly availableReplicas?: number;
  };
}

/** What the Deployment controller makes of a namespace's predictors, without a gap. */
export interface PredictorDeployments {
  /** Uids of all ReplicaSets that there ever were, each of which is a start of model servers. */
  readonly replicaSets: ReadonlySet<string>;
  /** The most Deployments that were on their way to another form at the same time, since {@link countAnew}. */
  readonly mostUnfinished: () => number;
  readonly countAnew: () => void;
  readonly stop: () => void;
}

/** Follows the Deployments and ReplicaSets of a namespace. */
export async function followDeployments(namespace: string): Promise<PredictorDeployments> {
  const replicaSets = new Set<string>();
  let most = 0;
  const follow = <T extends FollowedObject>(
    kind: string,
    look: (objects: ReadonlyMap<string, T>) => void,
  ): Promise<FollowedObjects<T>> =>
    followObjects<T>(inject("kubeconfig"), `/apis/apps/v1/namespaces/${namespace}/${kind}`, look);
  const followed = await Promise.all([
    follow("replicasets", objects => {
      for (const { metadata } of objects.values()) replicaSets.add(metadata.uid);
    }),
    follow<Deployment>("deployments", objects => {
      most = Math.max(most, [...objects.values()].filter(one => !isComplete(one)).length);
    }),
  ]);
  return {
    replicaSets,
    mostUnfinished: () => most,
    countAnew() {
      most = 0;
    },
    stop() {
      for (const { stop } of followed) stop();
    },
  };
}

/** Waits until this many services are Ready in the form that they have now, as KServe and its Deployments say. */
export async function untilRolledOut(services: InferenceServices, count: number, timeout = 120_000): Promise<void> {
  await waitFor(
    `${count} services rolled out`,
    async () => (await listManaged(services)).filter(isRolledOut).length === count || undefined,
    timeout,
  );
}

/** Counts the requests of a method that go to the API server about InferenceServices. */
export function countRequests(method: "PATCH" | "DELETE"): {
  readonly wrapApiServer: (apiServer: ApiServer) => ApiServer;
  readonly count: () => number;
} {
  let count = 0;
  return {
    count: () => count,
    wrapApiServer: apiServer => request => {
      // A dry run writes nothing.
      const isWrite = request.method === method && request.query?.dryRun === undefined;
      if (isWrite && request.path.includes("/inferenceservices/")) count++;
      return apiServer(request);
    },
  };
}

function isComplete({ metadata, spec, status = {} }: Deployment): boolean {
  const { observedGeneration = 0, replicas, updatedReplicas, availableReplicas } = status;
  return (
    observedGeneration >= metadata.generation &&
    [replicas, updatedReplicas, availableReplicas].every(number => number === spec.replicas)
  );
}
