import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { expect, inject } from "vitest";
import { connectToApiServer } from "../../capabilities/kubernetes/api-server";
import { MANAGED_BY, MANAGED_BY_LABEL } from "../../capabilities/kserve/identity";
import { createInferenceServices } from "../../capabilities/kserve/inference-services";
import type { InferenceServices } from "../../capabilities/kserve/inference-services";
import type { LiveInferenceService } from "../../capabilities/kserve/live-inference-service";
import { inferenceServiceName } from "../../capabilities/kserve/names";
import type { ModelVersionKey } from "../../capabilities/support/model-version-key";
import { sign } from "../../capabilities/server/webhook/signature";
import { kubeConfigFrom } from "../support/kube-config";
import { SECRET, uniqueModel } from "../support/listener-fixture";
import type { Answer } from "../support/listener-fixture";
import { listManaged } from "../support/managed-services";
import { openRegistry } from "../support/mlflow-registry";
import type { MlflowRegistry } from "../support/mlflow-registry";
import { waitFor } from "../support/waiting";

/** Milliseconds within which everything has converged: two intervals of the poll, and time on a loaded machine. */
const CONVERGENCE_TIMEOUT = 50_000;

/**
 * What MLflow says and what is in the cluster, seen past all faults: two versions that stay deployed, one that is to go,
 * one that is to come, and an object of somebody else that has the name of a tagged version and our label.
 */
export interface Truth {
  readonly registry: MlflowRegistry;
  readonly services: InferenceServices;
  readonly namespace: string;
  /** The tag that deploys here: a poll sees all of MLflow, and the tests share one. */
  readonly tag: string;
  readonly kept: readonly ModelVersionKey[];
  readonly leaving: ModelVersionKey;
  readonly added: ModelVersionKey;
  readonly nameOf: (key: ModelVersionKey) => string;
  /** To be called when the first three are deployed: remembers how everything is. */
  remember: () => Promise<void>;
  /** Tags the one that is to come, and takes the tag from the one that is to go. */
  change: () => Promise<void>;
  /** Fails when one of the two that stay was deleted or changed, or the foreign object touched. */
  expectUntouched: () => Promise<void>;
  /** Whether the cluster is what MLflow says. */
  isConverged: () => Promise<boolean>;
  /** Waits until the cluster is what MLflow says. @returns the seconds that it took */
  converged: (expected?: readonly ModelVersionKey[]) => Promise<number>;
}

/** Makes a namespace's truth. The namespace must exist. */
export async function establishTruth(
  namespace: string,
  {
    mlflowTrackingUri = inject("mlflowTrackingUri"),
    kubeconfig = inject("kubeconfig"),
    tag = uniqueModel("deploy"),
  } = {},
): Promise<Truth> {
  const registry = openRegistry(mlflowTrackingUri);
  const apiServer = connectToApiServer(15_000, kubeConfigFrom(kubeconfig));
  const services = createInferenceServices(apiServer, namespace);
  const register = (about: string, tagged: boolean): Promise<ModelVersionKey> =>
    registry.register(uniqueModel(about), "s3://models/x", tagged ? { [tag]: "true" } : {});
  const nameOf = (key: ModelVersionKey): string => inferenceServiceName(key, namespace);
  const [one, two, leaving, added, taken] = await Promise.all([
    ...[register("kept", true), register("kept", true), register("leaving", true)],
    ...[register("added", false), register("taken", true)],
  ] as const);
  const kept = [one, two];

  await apiServer({
    method: "POST",
    path: `/apis/serving.kserve.io/v1beta1/namespaces/${namespace}/inferenceservices`,
    body: {
      apiVersion: "serving.kserve.io/v1beta1",
      kind: "InferenceService",
      metadata: { name: nameOf(taken), namespace, labels: { [MANAGED_BY_LABEL]: MANAGED_BY } },
      spec: { predictor: { model: { modelFormat: { name: "sklearn" }, storageUri: "s3://somebody/else" } } },
    },
  });

  const identities = async (): Promise<unknown[]> => {
    const live = await Promise.all([...kept, taken].map(key => services.get(nameOf(key))));
    return live.map(identityOf);
  };
  const found = async (): Promise<string[]> =>
    (await listManaged(services))
      .filter(isStaying)
      .map(({ metadata }) => metadata.name)
      .sort();
  const wanted = (expected: readonly ModelVersionKey[]): string[] => [...expected, taken].map(nameOf).sort();
  let before: unknown[] = [];
  const truth: Truth = {
    ...{ registry, services, namespace, tag, kept, leaving, added, nameOf },
    async remember() {
      await truth.converged([...kept, leaving]);
      before = await identities();
    },
    async change() {
      await Promise.all([registry.setTag(added, tag, "true"), registry.deleteTag(leaving, tag)]);
    },
    async expectUntouched() {
      expect(before).toHaveLength(3);
      expect(await identities()).toEqual(before);
    },
    isConverged: async () => isDeepStrictEqual(await found(), wanted([...kept, added])),
    async converged(expected = [...kept, added]) {
      const start = performance.now();
      const names = wanted(expected);
      await waitFor(
        `the services ${names.join(", ")}`,
        async () => {
          const there = await found();
          if (isDeepStrictEqual(there, names)) return true;
          throw new Error(`there are ${there.join(", ")}`);
        },
        CONVERGENCE_TIMEOUT,
      );
      return (performance.now() - start) / 1000;
    },
  };
  return truth;
}

/** One that is on its way out (KServe's finalizer) is none. */
function isStaying({ metadata }: LiveInferenceService): boolean {
  return metadata.deletionTimestamp === undefined;
}

/** What must stay the same; KServe's controller writes the status, and the resourceVersion with it. */
function identityOf(live: LiveInferenceService | undefined): unknown {
  if (live === undefined) return undefined;
  const { uid, generation, labels, annotations, deletionTimestamp } = live.metadata;
  return { uid, generation, labels, annotations, deletionTimestamp, spec: live.spec };
}

export interface DeliveryOptions {
  readonly action?: "set" | "deleted";
  /** Seconds that the sender's clock is ahead. */
  readonly clockAhead?: number;
  readonly deliveryId?: string;
  /** Unix seconds, of a delivery that is repeated; now when left out. */
  readonly timestamp?: number;
}

/** Sends a delivery as MLflow would: signed, about a tag of a version. @throws Error when there is no answer */
export async function deliver(
  url: string,
  tag: string,
  { model, version }: ModelVersionKey,
  options: DeliveryOptions = {},
): Promise<Answer> {
  const { action = "set", clockAhead = 0, deliveryId = randomUUID() } = options;
  const timestamp = String(options.timestamp ?? Math.floor(Date.now() / 1000) + clockAhead);
  const data = { name: model, version, key: tag, ...(action === "set" ? { value: "true" } : {}) };
  const body = JSON.stringify({ entity: "model_version_tag", action, timestamp: new Date().toISOString(), data });
  const response = await fetch(`${url}/webhook`, {
    method: "POST",
    body,
    headers: {
      "content-type": "application/json",
      "x-mlflow-delivery-id": deliveryId,
      "x-mlflow-timestamp": timestamp,
      "x-mlflow-signature": sign(SECRET, deliveryId, timestamp, Buffer.from(body)),
    },
  });
  return { status: response.status, body: (await response.json()) as Answer["body"] };
}

/** What MLflow sends again (mlflow/webhooks/delivery.py), and how often. */
const RETRIED = [429, 500, 502, 503, 504];
const RETRIES = 3;

/**
 * As {@link deliver}, and again with the same id and timestamp where MLflow would: for tests in which MLflow itself may be
 * too busy, which is not what they are about.
 */
export async function deliverAgain(
  url: string,
  tag: string,
  key: ModelVersionKey,
  options: DeliveryOptions = {},
): Promise<Answer> {
  const { clockAhead = 0, deliveryId = randomUUID() } = options;
  const timestamp = options.timestamp ?? Math.floor(Date.now() / 1000) + clockAhead;
  for (let retry = 0; ; retry++) {
    const answer = await deliver(url, tag, key, { ...options, deliveryId, timestamp });
    if (!RETRIED.includes(answer.status) || retry === RETRIES) return answer;
    await sleep(1_000 * 2 ** retry);
  }
}

/** Answers, as a table tells them: how often which, and the first one's words. */
export function describeAnswers(answers: readonly Answer[]): string {
  const counts = new Map<number, number>();
  for (const { status } of answers) counts.set(status, (counts.get(status) ?? 0) + 1);
  const statuses = [...counts].map(([status, count]) => `${count}× ${status}`).join(", ");
  const first = answers.find(({ status }) => status !== 200) ?? answers[0];
  const words = first?.body.message ?? first?.body.action;
  return typeof words === "string" ? `${statuses}: ${words}` : statuses;
}
