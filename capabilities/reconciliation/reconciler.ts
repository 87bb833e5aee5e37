import { setTimeout as sleep } from "node:timers/promises";
import { hasUnownedFields } from "../kserve/field-ownership";
import { recordedRunOf, serves } from "../kserve/identity";
import type { InferenceServices } from "../kserve/inference-services";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import { explainManagement, managementOf } from "../kserve/management";
import { inferenceServiceName } from "../kserve/names";
import type { MlflowReader, ModelVersion } from "../mlflow/client";
import type { StorageSettings } from "../mlflow/storage-uri";
import { messageOf } from "../observability/logging";
import type { Log } from "../observability/logging";
import { BoundedCache } from "../support/bounded-cache";
import { stopwatch } from "../support/stopwatch";
import type { ModelVersionKey } from "../support/model-version-key";
import type { CompiledTemplate, InferenceServiceObject } from "../template/rendering";
import { createArtifactLocator } from "./artifact-locator";
import type { Cause } from "./cause";
import { decide, sameDecision } from "./decision";
import type { Decision } from "./decision";
import { compare, describeChange, desiredObject, settledBy } from "./desired-object";
import type { Comparison, PredictorResources, Settled } from "./desired-object";
import { ForeignObjectError, OtherRegistryError, RefusedError, StorageNotAllowedError } from "./errors";
import { describeFailure } from "./failures";
import { explainHold } from "./hold-reason";
import { beingDeleted, hasSameContent, isRace } from "./object-changes";
import type { IsForeign } from "./ownership";
import { createIsOfAnotherRegistry, createRegistryCreation } from "./registry-creation";
import type { Removals } from "./removals";

/** What was done about one model version. */
export type Action =
  | "created"
  | "updated"
  | "unchanged"
  | "deleted"
  /** It is to go, and stays for now; the reason says why. */
  | "held"
  | "ignored";

export interface Outcome {
  readonly action: Action;
  readonly inferenceService: string;
  readonly namespace: string;
  /** The object's uid, when there is or was one. */
  readonly uid?: string | undefined;
  /** Why nothing runs, when nothing does. */
  readonly reason?: string;
  /** MLflow's answer that was acted on; undefined when it says that there is no such version. */
  readonly version?: ModelVersion | undefined;
  /** Milliseconds spent waiting for MLflow's answers and for the Apply or Delete to be acknowledged. */
  readonly mlflowMilliseconds: number;
  readonly kubernetesMilliseconds: number;
}

type Done = Pick<Outcome, "action" | "uid" | "reason">;

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
  readonly log?: Log | undefined;
  readonly removals: Removals;
  readonly isForeign: IsForeign;
  /** Whether no existing service is to be changed for a new template or setting. */
  readonly dryRun: boolean;
  /** The workspace that MLflow is asked for; its default one when left out. */
  readonly workspace?: string | undefined;
}

/** How one service stands to what its tagged version needs. */
export type Standing =
  | { readonly kind: "in place" }
  /** A person left it to themselves: neither to be changed nor to be removed. */
  | { readonly kind: "hands off" }
  /** It is the same model in a form that is not wanted any more: what a changed template, setting or release makes of it. */
  | {
      readonly kind: "outdated";
      /** In a dry run, what the API server would make of it: `spec.predictor.minReplicas: 1 → 2`, a line each. */
      readonly differences: readonly string[];
    }
  /** It is another model, or somebody changed it. */
  | { readonly kind: "different" }
  /** It is to go, because its version's storage is not allowed (any more). */
  | { readonly kind: "not allowed" };

export interface Reconciler {
  /**
   * Reads the version from MLflow and makes the cluster match. Nothing is deleted unless MLflow says positively that
   * there is to be no service, or that the version is in a storage that the settings do not allow, and {@link Removals}
   * lets it go.
   *
   * @param cause what woke it: a watch or an alias that finds a service outdated leaves it to the rollout of the poll; a
   *   delivery, by which somebody tagged this very version, brings it up to date at once
   * @throws MlflowError, KubernetesError, RefusedError, ForeignObjectError
   */
  act: (key: ModelVersionKey, cause: Cause) => Promise<Acted>;
  /** Compares a service with what its tagged version needs. May ask MLflow for what it never asked before. */
  standing: (version: ModelVersion, live: LiveInferenceService) => Promise<Standing>;
}

/** Milliseconds to wait, one after the other, when the object changed between our read and our write; some 3 s in all. */
const RACE_DELAYS: readonly number[] = [0, 20, 50, 100, 200, 400, 800, 1600];

/** Remembered results of Applies; one short entry a service. */
const SETTLED_CAPACITY = 50_000;

/** What a tagged version should have in the cluster. */
interface Wanted {
  readonly version: ModelVersion;
  readonly object: InferenceServiceObject;
  readonly storageUri: string;
}

export function createReconciler(options: ReconcilerOptions): Reconciler {
  const { mlflow, services, template, resources, deployTagKey, removals, isForeign, dryRun, workspace } = options;
  const locate = createArtifactLocator(mlflow, options.storage, {
    needsExperiment: template.uses("experiment_id"),
    log: options.log,
  });
  /** What our last Apply left in the cluster, by name. */
  const settled = new BoundedCache<Settled>(SETTLED_CAPACITY);
  const registryCreatedAt = createRegistryCreation(mlflow);
  const isOfAnotherRegistry = createIsOfAnotherRegistry(mlflow, workspace);

  const render = async (version: ModelVersion, live: LiveInferenceService | undefined): Promise<Wanted> => {
    const recorded = live === undefined ? {} : recordedRunOf(live.metadata);
    const [location, createdAt] = await Promise.all([locate(version, recorded), registryCreatedAt(version)]);
    const record = { registryCreatedAt: createdAt, versionCreatedAt: version.createdAt, workspace };
    removals.seen(version, createdAt);
    const object = desiredObject(version, location, services.namespace, template, resources, record);
    return { version, object, storageUri: location.storageUri };
  };

  const renderAllowed = async (
    version: ModelVersion,
    live: LiveInferenceService | undefined,
  ): Promise<Wanted | StorageNotAllowedError> => {
    try {
      return await render(version, live);
    } catch (error) {
      if (error instanceof StorageNotAllowedError) return error;
      throw error;
    }
  };

  const compareWith = (live: LiveInferenceService, { object, storageUri }: Wanted): Comparison =>
    compare(live, object, storageUri, settled.get(live.metadata.name));

  /** Applies an object, and takes away what admission once made of fields that it does not have any more. */
  const apply = async (wanted: Wanted, live: LiveInferenceService | undefined): Promise<LiveInferenceService> => {
    if (live === undefined) return await services.apply(wanted.object);
    const { object, lost } = compareWith(live, wanted);
    const leavesRemains = lost.some(([field]) => field === "spec") && hasUnownedFields(live, object.spec);
    return await services.apply(object, leavesRemains ? await services.claim(live) : live);
  };

  /** Where only the form differs in which admission wrote a value, as after a restart, there is no change to tell of. */
  const rehearse = async (
    wanted: Wanted,
    { object }: Comparison,
    live: LiveInferenceService,
  ): Promise<Extract<Standing, { kind: "outdated" | "in place" | "different" }>> => {
    let after: LiveInferenceService;
    try {
      after = await services.rehearse(object, live);
    } catch (error) {
      const { kind, message } = describeFailure(error, { key: wanted.version, namespace: services.namespace });
      if (kind !== "permanent") throw error;
      return { kind: "outdated", differences: [`refused: ${message}`] };
    }
    const differences = describeChange(live, after);
    if (differences.length > 0) return { kind: "outdated", differences };
    settled.set(live.metadata.name, settledBy(after, wanted.object));
    return { kind: compareWith(live, wanted).inPlace ? "in place" : "different" };
  };

  const serve = async (
    key: ModelVersionKey,
    wanted: Wanted,
    live: LiveInferenceService | undefined,
    cause: Cause,
  ): Promise<Done> => {
    if (live !== undefined) {
      const management = managementOf(live.metadata);
      if (management === "released" && serves(live.metadata, key))
        return { action: "ignored", reason: explainManagement(management) };
      if (isForeign(live, key, wanted.version)) {
        throw new ForeignObjectError(live.metadata.name, services.namespace, live.metadata.uid);
      }
      if (management === "paused") return { action: "ignored", reason: explainManagement(management) };
      if (live.metadata.deletionTimestamp !== undefined) throw beingDeleted(live);
      // Who tagged this very version wants it, wherever the one before came from.
      if (
        cause !== "delivery" &&
        (await isOfAnotherRegistry(live, wanted.version)) &&
        !compareWith(live, wanted).inPlace
      )
        throw new OtherRegistryError(live.metadata.name, services.namespace);
      if ((cause === "watch" || cause === "alias" || dryRun) && compareWith(live, wanted).isOutdated)
        return { action: "unchanged", uid: live.metadata.uid, reason: OUTDATED };
    }
    const applied = await apply(wanted, live);
    const { uid, name } = applied.metadata;
    settled.set(name, settledBy(applied, wanted.object));
    if (live === undefined) return { action: "created", uid };
    return { action: hasSameContent(live, applied) ? "unchanged" : "updated", uid };
  };

  const remove = async (
    key: ModelVersionKey,
    answer: ModelVersion | undefined,
    live: LiveInferenceService | undefined,
    cause: Cause,
  ): Promise<Done> => {
    // What is not ours was not asked to go away; and what is going already needs no second request.
    if (live === undefined || isForeign(live, key, answer) || live.metadata.deletionTimestamp !== undefined) {
      return { action: "unchanged" };
    }
    const management = managementOf(live.metadata);
    if (management !== "managed") return { action: "ignored", reason: explainManagement(management) };
    const { uid } = live.metadata;
    const verdict = await removals.decide(cause, { key, live }, answer);
    if (verdict.kind === "hold") return { action: "held", uid, reason: explainHold(verdict.reason) };
    await services.delete(live);
    settled.delete(live.metadata.name);
    return { action: "deleted", uid };
  };

  /**
   * What becomes of the service of a tagged version whose storage is not allowed. Who narrows the list means all services
   * at once: only the poll sees how many those are.
   */
  const withdraw = async (
    key: ModelVersionKey,
    answer: ModelVersion | undefined,
    live: LiveInferenceService | undefined,
    cause: Cause,
    refusal: StorageNotAllowedError,
  ): Promise<Done> => {
    const done = await remove(key, answer, live, cause === "delivery" ? "watch" : cause);
    if (done.action === "deleted") return { ...done, reason: refusal.message };
    if (done.action !== "held") throw refusal;
    throw new StorageNotAllowedError(`${refusal.message}; its service stays for now: ${done.reason ?? ""}`);
  };

  return {
    async act(key, cause) {
      const name = nameOrRefusal(key, services.namespace);
      const mlflowClock = stopwatch();
      const kubernetesClock = stopwatch();
      let answer: ModelVersion | undefined;
      const look = async (): Promise<Decision> => {
        answer = await mlflowClock.during(mlflow.getModelVersion(key));
        return decide(answer, deployTagKey);
      };

      const delays = RACE_DELAYS.values();
      for (;;) {
        const [decision, live] = await Promise.all([look(), services.get(name)]);
        if (decision.kind === "refuse") throw new RefusedError(decision.reason);
        const wanted =
          decision.kind === "serve" ? await mlflowClock.during(renderAllowed(decision.version, live)) : undefined;
        let done: Done = { action: "ignored" };
        try {
          if (wanted instanceof StorageNotAllowedError)
            done = await kubernetesClock.during(withdraw(key, answer, live, cause, wanted));
          else if (wanted !== undefined) done = await kubernetesClock.during(serve(key, wanted, live, cause));
          else if (decision.kind === "remove") done = await kubernetesClock.during(remove(key, answer, live, cause));
        } catch (error) {
          const delay = isRace(error, live) ? delays.next() : undefined;
          if (delay === undefined || delay.done) throw error;
          await sleep(delay.value);
          continue;
        }
        return {
          outcome: {
            ...(decision.kind === "serve" ? {} : { reason: decision.reason }),
            ...done,
            inferenceService: name,
            namespace: services.namespace,
            version: answer,
            mlflowMilliseconds: mlflowClock.milliseconds(),
            kubernetesMilliseconds: kubernetesClock.milliseconds(),
          },
          confirm: async () => sameDecision(decision, await look()),
        };
      }
    },

    async standing(version, live) {
      const wanted = await renderAllowed(version, live);
      if (managementOf(live.metadata) !== "managed") return { kind: "hands off" };
      // What cannot be taken over is told by its reconcile, and nothing that a rollout of others would wait for.
      if (isForeign(live, version, version)) return { kind: "different" };
      if (wanted instanceof StorageNotAllowedError) return { kind: "not allowed" };
      const comparison = compareWith(live, wanted);
      if (comparison.inPlace) return { kind: "in place" };
      if (await isOfAnotherRegistry(live, version)) return { kind: "different" };
      if (!comparison.isOutdated) return { kind: "different" };
      return dryRun ? await rehearse(wanted, comparison, live) : { kind: "outdated", differences: [] };
    },
  };
}

const OUTDATED = "the service is made from a former template or setting, and is brought up to date by the rollout";

function nameOrRefusal(key: ModelVersionKey, namespace: string): string {
  try {
    return inferenceServiceName(key, namespace);
  } catch (error) {
    throw new RefusedError(messageOf(error), { cause: error });
  }
}
