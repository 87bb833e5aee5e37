import { setTimeout as sleep } from "node:timers/promises";
import type { ApiServer } from "../../capabilities/kubernetes/api-server";
import { isLoaded } from "../testbed/inference";
import type { ModelAddress } from "../testbed/inference";

/** What happens to a predictor between the Apply and its first answer, in this order. */
export const STEPS = ["bound", "downloaded", "started", "ready", "loaded"] as const;

export type Step = (typeof STEPS)[number];

/** When each step was first seen to be done: Unix milliseconds. */
export type Progress = Readonly<Record<Step, number>>;

interface ContainerStatus {
  readonly state?: {
    readonly running?: object;
    readonly terminated?: { readonly exitCode: number };
    readonly waiting?: { readonly reason?: string; readonly message?: string };
  };
}

interface PredictorPod {
  readonly spec: { readonly nodeName?: string };
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
}

/**
 * Looks at the pod of an InferenceService, and asks its server, until the model is loaded.
 * @param timeout milliseconds
 * @throws when it is not loaded in time; the message has what its containers wait for
 */
export async function watchPredictor(
  apiServer: ApiServer,
  namespace: string,
  address: ModelAddress,
  timeout: number,
): Promise<Progress> {
  const seen = new Map<Step, number>();
  let pod: PredictorPod | undefined;
  for (const end = Date.now() + timeout; Date.now() < end; ) {
    pod = await predictorPod(apiServer, namespace, address.service);
    const done = pod ? stepsOf(pod) : [];
    if (done.includes("ready") && (await isLoaded(address))) done.push("loaded");
    for (const step of done) if (!seen.has(step)) seen.set(step, Date.now());
    if (seen.has("loaded")) return Object.fromEntries(seen) as unknown as Progress;
    await sleep(100);
  }
  const statuses = [...(pod?.status?.initContainerStatuses ?? []), ...(pod?.status?.containerStatuses ?? [])];
  const waiting = statuses.flatMap(({ state }) => (state?.waiting ? [JSON.stringify(state.waiting)] : []));
  throw new Error(`${address.service} was not loaded within ${timeout / 1000} s: ${waiting.join(", ") || "no pod"}`);
}

async function predictorPod(apiServer: ApiServer, namespace: string, name: string): Promise<PredictorPod | undefined> {
  const { body } = await apiServer({
    method: "GET",
    path: `/api/v1/namespaces/${namespace}/pods`,
    query: { labelSelector: `serving.kserve.io/inferenceservice=${name}` },
  });
  return (body as { items: PredictorPod[] }).items[0];
}

function stepsOf({ spec, status = {} }: PredictorPod): Step[] {
  const done: Step[] = [];
  if (spec.nodeName !== undefined) done.push("bound");
  const downloads = status.initContainerStatuses ?? [];
  if (downloads.length > 0 && downloads.every(({ state }) => state?.terminated?.exitCode === 0))
    done.push("downloaded");
  if ((status.containerStatuses ?? []).some(({ state }) => state?.running)) done.push("started");
  if (status.conditions?.some(({ type, status }) => type === "Ready" && status === "True")) done.push("ready");
  return done;
}
