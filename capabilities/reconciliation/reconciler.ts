import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { KubernetesError } from "../kubernetes/api-server";
import { keyOf } from "../kserve/identity";
import type { InferenceServices } from "../kserve/inference-services";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import { inferenceServiceName } from "../kserve/names";
import type { CompiledTemplate, InferenceServiceObject } from "../template/rendering";
import type { MlflowReader, ModelVersion } from "../mlflow/client";
import type { StorageSettings } from "../mlflow/storage-uri";
import { formatKey } from "../support/model-version-key";
import type { ModelVersionKey } from "../support/model-version-key";
import { BoundedCache } from "../support/bounded-cache";
import { messageOf } from "../observability/logging";
import { createArtifactLocator } from "./artifact-locator";
import { decide, sameDecision } from "./decision";
import type { Decision } from "./decision";
import { desiredObject, isInPlace, RENDERED_ANNOTATION } from "./desired-object";
import type { PredictorResources } from "./desired-object";
import { ForeignObjectError, RefusedError } from "./errors";

/** What was done about one model version. */
export type Action = "created" | "updated" | "unchanged" | "deleted" | "ignored";

export interface Outcome {
  readonly action: Action;
  readonly inferenceService: string;
  readonly namespace: string;
  /** The object's uid, when there is or was one. */
  readonly uid?: string | undefined;
  /** Why nothing runs, when nothing does. */
  readonly reason?: string;
  /** Milliseconds spent waiting for MLflow's answers and for the Apply or Delete to be acknowledged. */
  readonly mlflowMilliseconds: number;
  readonly kubernetesMilliseconds: number;
}

type Done = Pick<Outcome, "action" | "uid">;

/** The first half of a reconcile is done and acknowledged; `confirm` is the second look at MLflow (DESIGN, rule 4). */
export interface Acted {
  readonly outcome: Outcome;
  /** true when MLflow still says what was acted on. */
  readonly confirm: () => Promise<boolean>;
}

export interface ReconcilerOptions {
  readonly mlflow: MlflowReader;
  readonly services: InferenceServices;
  readonly template: CompiledTemplate;
  readonly resources: PredictorResources;
  readonly deployTagKey: string;
  readonly storage: StorageSettings;
}

export interface Reconciler {
  /**
   * Reads the version from MLflow and makes the cluster match. Nothing is deleted unless MLflow says positively that
   * there is to be no service.
   *
   * @throws MlflowError, KubernetesError, RefusedError, ForeignObjectError
   */
  act: (key: ModelVersionKey) => Promise<Acted>;
  /** Whether the object in the cluster is already what this tagged version needs. May ask MLflow for what it never asked before. */
  isSettled: (version: ModelVersion, live: LiveInferenceService) => Promise<boolean>;
}

/** Milliseconds to wait, one after the other, when the object changed between our read and our write; some 3 s in all. */
const RACE_DELAYS: readonly number[] = [0, 20, 50, 100, 200, 400, 800, 1600];

/** Remembered results of Applies; one short entry a service. */
const SETTLED_CAPACITY = 50_000;

export function createReconciler(options: ReconcilerOptions): Reconciler {
  const { mlflow, services, template, resources, deployTagKey } = options;
  const locate = createArtifactLocator(mlflow, options.storage);
  /** What our last Apply of a rendering left in the cluster, by name. */
  const settled = new BoundedCache<{ uid: string; generation: number; digest: string }>(SETTLED_CAPACITY);

  const render = async (version: ModelVersion): Promise<InferenceServiceObject> =>
    desiredObject(version, await locate(version), services.namespace, template, resources);

  const settledGeneration = (live: LiveInferenceService, desired: InferenceServiceObject): number | undefined => {
    const last = settled.get(live.metadata.name);
    const same = last?.uid === live.metadata.uid && last.digest === digestOf(desired);
    return same ? last.generation : undefined;
  };

  const serve = async (
    key: ModelVersionKey,
    desired: InferenceServiceObject,
    live: LiveInferenceService | undefined,
  ): Promise<Done> => {
    if (live !== undefined && !isOurs(live, key)) {
      throw new ForeignObjectError(live.metadata.name, services.namespace, live.metadata.uid);
    }
    if (live?.metadata.deletionTimestamp !== undefined) throw beingDeleted(live);
    const applied = await services.apply(desired, live);
    const { uid, generation } = applied.metadata;
    settled.set(applied.metadata.name, { uid, generation, digest: digestOf(desired) });
    if (live === undefined) return { action: "created", uid };
    return { action: hasSameContent(live, applied) ? "unchanged" : "updated", uid };
  };

  const remove = async (key: ModelVersionKey, live: LiveInferenceService | undefined): Promise<Done> => {
    // What is not ours was not asked to go away; and what is going already needs no second request.
    if (live === undefined || !isOurs(live, key) || live.metadata.deletionTimestamp !== undefined) {
      return { action: "unchanged" };
    }
    await services.delete(live);
    settled.delete(live.metadata.name);
    return { action: "deleted", uid: live.metadata.uid };
  };

  return {
    async act(key) {
      const name = nameOrRefusal(key, services.namespace);
      const mlflowClock = stopwatch();
      const kubernetesClock = stopwatch();
      const look = async (): Promise<Decision> =>
        decide(await mlflowClock.during(mlflow.getModelVersion(key)), deployTagKey);

      const delays = RACE_DELAYS.values();
      for (;;) {
        const [decision, live] = await Promise.all([look(), services.get(name)]);
        const desired = decision.kind === "serve" ? await mlflowClock.during(render(decision.version)) : undefined;
        let done: Done = { action: "ignored" };
        try {
          if (desired !== undefined) done = await kubernetesClock.during(serve(key, desired, live));
          else if (decision.kind === "remove") done = await kubernetesClock.during(remove(key, live));
        } catch (error) {
          const delay = isRace(error, live) ? delays.next() : undefined;
          if (delay === undefined || delay.done) throw error;
          await sleep(delay.value);
          continue;
        }
        return {
          outcome: {
            ...done,
            inferenceService: name,
            namespace: services.namespace,
            ...(decision.kind === "serve" ? {} : { reason: decision.reason }),
            mlflowMilliseconds: mlflowClock.milliseconds(),
            kubernetesMilliseconds: kubernetesClock.milliseconds(),
          },
          confirm: async () => sameDecision(decision, await look()),
        };
      }
    },

    async isSettled(version, live) {
      const desired = await render(version);
      return isInPlace(live, desired, settledGeneration(live, desired));
    },
  };
}

function nameOrRefusal(key: ModelVersionKey, namespace: string): string {
  try {
    return inferenceServiceName(key, namespace);
  } catch (error) {
    throw new RefusedError(messageOf(error), { cause: error });
  }
}

function isOurs(live: LiveInferenceService, key: ModelVersionKey): boolean {
  const found = keyOf(live.metadata);
  return found !== undefined && formatKey(found) === formatKey(key);
}

/** Not by resourceVersion: KServe's controller may have written the status between our read and our Apply. */
function hasSameContent(before: LiveInferenceService, after: LiveInferenceService): boolean {
  const [one, other] = [before.metadata, after.metadata];
  return (
    one.generation === other.generation &&
    isDeepStrictEqual(one.labels, other.labels) &&
    isDeepStrictEqual(one.annotations, other.annotations)
  );
}

function digestOf(desired: InferenceServiceObject): string {
  return desired.metadata.annotations?.[RENDERED_ANNOTATION] ?? "";
}

/** An Apply to it would be lost with it. */
function beingDeleted(live: LiveInferenceService): KubernetesError {
  const { namespace, name } = live.metadata;
  return new KubernetesError(409, "BeingDeleted", `InferenceService ${namespace}/${name} is still being deleted`);
}

/**
 * Whether the object changed, came or went between our read and our write, so that reading again will help. An Apply
 * that meant to create is refused with Conflict too when somebody made the object first: the next read shows whose.
 */
function isRace(error: unknown, live: LiveInferenceService | undefined): boolean {
  if (!(error instanceof KubernetesError)) return false;
  if (error.status === 409) return true;
  // A uid that no longer fits is answered as an invalid change of an immutable field.
  return error.status === 422 && live !== undefined && error.message.includes("metadata.uid");
}

/** Adds up the time that was spent waiting. */
function stopwatch(): { during: <T>(work: Promise<T>) => Promise<T>; milliseconds: () => number } {
  let total = 0;
  return {
    async during(work) {
      const start = performance.now();
      try {
        return await work;
      } finally {
        total += performance.now() - start;
      }
    },
    milliseconds: () => Math.round(total * 100) / 100,
  };
}
