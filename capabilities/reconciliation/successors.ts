import { keyOf } from "../kserve/identity";
import type { InferenceServices } from "../kserve/inference-services";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import { conditionOf, isReady } from "../kserve/service-state";
import { isSearchableName } from "../mlflow/client";
import type { MlflowReader, ModelSearch, ModelVersion } from "../mlflow/client";
import { eachOnce } from "../support/model-version-key";
import type { ModelVersionKey } from "../support/model-version-key";
import { decide } from "./decision";
import type { HoldReason } from "./hold-reason";

/** What matters of a service for whom it may take over from. */
export interface Readiness {
  readonly isReady: boolean;
  /** When it was made, or stopped being Ready, or KServe last said why it is not: Unix milliseconds. */
  readonly startedAt: number;
}

/** A tagged version that may take over from another one, and its service where there is one. */
export interface Successor {
  readonly version: ModelVersion;
  readonly service: Readiness | undefined;
}

/** Whether a service is Ready, and since when it is starting where it is not. */
export function readinessOf(live: LiveInferenceService): Readiness {
  const changedAt = Date.parse(conditionOf(live, "Ready")?.lastTransitionTime ?? "");
  const createdAt = Date.parse(live.metadata.creationTimestamp);
  return { isReady: isReady(live), startedAt: Number.isNaN(changedAt) ? createdAt : Math.max(createdAt, changedAt) };
}

/**
 * The version that a model's last Ready one is to wait for; undefined when it need not wait, because another one serves
 * already or none is starting, be it for the first time or again. A service that did not become Ready within the time of a
 * handover is not starting any more: nobody waits for it.
 *
 * @param successors the model's other versions that are tagged
 * @param now Unix milliseconds
 * @param handover milliseconds that a start may take
 */
export function awaitedSuccessor(
  successors: readonly Successor[],
  now: number,
  handover: number,
): ModelVersion | undefined {
  if (successors.some(({ service }) => service?.isReady)) return undefined;
  return successors.find(({ service }) => service === undefined || now - service.startedAt < handover)?.version;
}

/** Why a version of a model stays although it is not wanted, so that the model is not without one. */
type Handover = Extract<HoldReason, "successor is starting" | "alias is starting" | "no alias">;

/**
 * Why a Ready version of a model stays although it is not wanted; undefined when it may go. One of a model that follows its
 * aliases waits without an end, unless a tag of its own says that it is not to be served: for the champion, where there is one,
 * since a challenger that serves is none.
 *
 * @param answer what MLflow says about it; undefined when it says that there is none
 */
export function handoverOf(
  answer: ModelVersion | undefined,
  successors: readonly Successor[],
  { now, handover, championAlias }: { readonly now: number; readonly handover: number; readonly championAlias: string },
): Handover | undefined {
  if (answer?.modelWish === undefined || answer.modelWish.alias !== undefined)
    return awaitedSuccessor(successors, now, handover) === undefined ? undefined : "successor is starting";
  const champion = successors.find(({ version }) => version.modelWish?.alias === championAlias);
  if (champion !== undefined) return champion.service?.isReady ? undefined : "alias is starting";
  if (successors.some(({ service }) => service?.isReady)) return undefined;
  return successors.some(({ version }) => version.modelWish !== undefined) ? "alias is starting" : "no alias";
}

/**
 * Finds the other versions of a model that are wanted, with their services, as they are now. The returned function throws
 * MlflowError or KubernetesError when there is no answer.
 *
 * @param wantedByAlias the versions that a model wants by its aliases
 */
export function createSiblingSearch(
  mlflow: Pick<MlflowReader & ModelSearch, "findTagged" | "getModelVersion">,
  services: Pick<InferenceServices, "ofModel">,
  deployTagKey: string,
  wantedByAlias: (model: string) => Promise<ModelVersion[]>,
): (key: ModelVersionKey) => Promise<Successor[]> {
  const taggedOf = async (model: string, served: readonly ModelVersionKey[]): Promise<ModelVersion[]> => {
    if (isSearchableName(model)) return await mlflow.findTagged([model], deployTagKey);
    // A name that no search can be asked for: only versions that have a service already are looked at.
    const versions = await Promise.all(served.map(key => mlflow.getModelVersion(key)));
    return versions.filter(version => version !== undefined);
  };
  const wantedOf = async (model: string, served: readonly ModelVersionKey[]): Promise<ModelVersion[]> => {
    const [tagged, byAlias] = await Promise.all([taggedOf(model, served), wantedByAlias(model)]);
    return eachOnce([...byAlias, ...tagged]);
  };
  return async key => {
    const live = await services.ofModel(key.model);
    const served = new Map<string, Readiness>();
    for (const one of live) {
      const found = keyOf(one.metadata);
      if (found?.model === key.model && found.version !== key.version) served.set(found.version, readinessOf(one));
    }
    const keys = [...served.keys()].map(version => ({ model: key.model, version }));
    const versions = await wantedOf(key.model, keys);
    return versions
      .filter(one => one.version !== key.version && decide(one, deployTagKey).kind === "serve")
      .map(version => ({ version, service: served.get(version.version) }));
  };
}
