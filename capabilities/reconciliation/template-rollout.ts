import { MANAGED_BY } from "../kserve/identity";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import {
  causeOf,
  componentsChangedAt,
  conditionOf,
  isReady,
  isRolledOut,
  loadFailureOf,
} from "../kserve/service-state";
import { troubleOf } from "../kserve/troubles";
import type { ModelVersionKey } from "../support/model-version-key";
import type { Outcome } from "./reconciler";

/**
 * Milliseconds after an Apply until a service whose state has not changed since is taken to be through with it. KServe
 * counts a change as observed when it has written the Deployment, with the state of the pods before; a busy one takes
 * seconds to see what became of it. A change that concerns no pods (of the replicas' number) never shows in the state.
 */
const BEGINS_WITHIN = 30_000;

/** Milliseconds within which an Apply is the one that made the object: `managedFields` has seconds. */
const SAME_MOMENT = 2_000;

/** A service that is the right model in a form that is not wanted any more. */
export interface OutdatedService {
  readonly key: ModelVersionKey;
  readonly live: LiveInferenceService;
  /** What would change, as people write it: `spec.predictor.minReplicas: 1 → 2`. */
  readonly differences: readonly string[];
}

/** How far a service is that was brought up to date. */
export type Progress =
  /** It serves in its new form; or it did not serve before either, which no rollout has to wait for. */
  | "done"
  | "rolling out"
  /** It did not become Ready in time. */
  | "stuck";

/** A service in the form that is wanted, which is not Ready in it yet. */
export interface UnfinishedService {
  readonly inferenceService: string;
  readonly progress: Exclude<Progress, "done">;
  readonly cause: string | undefined;
}

export interface RolloutLimits {
  /** Services that may be on their way to a new form at the same time. */
  readonly maximumUnavailable: number;
  /** Milliseconds that one may take to become Ready. */
  readonly deadline: number;
  /** Nothing is changed; what would be is told. */
  readonly dryRun: boolean;
}

/** How a rollout stands after a pass. */
export interface RolloutState {
  /** Services that still wait for their turn. */
  readonly outdated: number;
  readonly rollingOut: number;
  /** Services for which it has stopped: they did not become Ready. */
  readonly stuck: readonly UnfinishedService[];
  /** In a dry run: services that would change alike, and how. */
  readonly preview: readonly { readonly services: readonly string[]; readonly differences: readonly string[] }[];
}

/** Brings services up to date with a changed template, setting or release, a few at a time. */
export interface TemplateRollout {
  /** How far a service is that is in the form that is wanted. */
  readonly progressOf: (live: LiveInferenceService) => Progress;
  /**
   * Brings as many services up to date as may be on their way. All it goes by is in the cluster: a new process goes on
   * where the last one was. It stops while one that was Ready before does not become Ready.
   *
   * @param apply brings one up to date; undefined when that failed
   */
  readonly goOn: (
    outdated: readonly OutdatedService[],
    unfinished: readonly UnfinishedService[],
    apply: (key: ModelVersionKey) => Promise<Outcome | undefined>,
  ) => Promise<RolloutState>;
}

/** @param now Unix milliseconds */
export function createTemplateRollout(limits: RolloutLimits, now: () => number = Date.now): TemplateRollout {
  return {
    progressOf: live => progressOf(live, limits.deadline, now()),

    async goOn(outdated, unfinished, apply) {
      const stuck = unfinished.filter(({ progress }) => progress === "stuck");
      let rollingOut = unfinished.length - stuck.length;
      const waiting = inOrder(outdated);
      let failures = 0;
      const mayGoOn = (): boolean =>
        !limits.dryRun && stuck.length === 0 && rollingOut < limits.maximumUnavailable && failures === 0;
      let done = 0;
      for (const { key } of waiting) {
        if (!mayGoOn()) break;
        const outcome = await apply(key);
        // What the API server refuses for one it will refuse for all: the next pass tries again.
        if (outcome === undefined) failures++;
        else done++;
        if (outcome?.action === "updated") rollingOut++;
      }
      const preview = limits.dryRun ? alike(waiting) : [];
      return { outdated: waiting.length - done, rollingOut, stuck, preview };
    },
  };
}

/**
 * Those that do not serve come first, since they have nothing to lose; then those that a former form left on its way, so
 * that they are not beside others that are.
 */
function inOrder(outdated: readonly OutdatedService[]): OutdatedService[] {
  const rank = ({ live }: OutdatedService): number => Number(isReady(live)) + Number(isRolledOut(live));
  return [...outdated].sort((one, other) => rank(one) - rank(other));
}

function alike(outdated: readonly OutdatedService[]): RolloutState["preview"] {
  const groups = new Map<string, { services: string[]; differences: readonly string[] }>();
  for (const { live, differences } of outdated) {
    const group = groups.get(differences.join("\n")) ?? { services: [], differences };
    group.services.push(live.metadata.name);
    groups.set(differences.join("\n"), group);
  }
  return [...groups.values()];
}

/**
 * How far a service is with our last Apply. One that was not Ready before is nothing to wait for; nor is one that is new.
 *
 * @param deadline milliseconds
 * @param now Unix milliseconds
 */
export function progressOf(live: LiveInferenceService, deadline: number, now: number): Progress {
  const applied = appliedAt(live);
  if (applied === undefined || isAsCreated(live, applied)) return "done";
  if (isRolledOut(live))
    return componentsChangedAt(live) > applied || now - applied >= BEGINS_WITHIN ? "done" : "rolling out";
  const ready = conditionOf(live, "Ready");
  const wasBrokenBefore = ready?.status !== "True" && Date.parse(ready?.lastTransitionTime ?? "") < applied;
  if (wasBrokenBefore) return "done";
  return now - applied > deadline ? "stuck" : "rolling out";
}

/** Whether our last Apply is the one that made the object. One soon after it counts the generation on. */
function isAsCreated({ metadata }: LiveInferenceService, applied: number): boolean {
  return metadata.generation <= 1 && applied - Date.parse(metadata.creationTimestamp) < SAME_MOMENT;
}

/** Describes a service that is not Ready in its new form. */
export function unfinished(live: LiveInferenceService, progress: Exclude<Progress, "done">): UnfinishedService {
  return {
    inferenceService: live.metadata.name,
    progress,
    cause: loadFailureOf(live) ?? troubleOf(live)?.message ?? causeOf(live),
  };
}

/** When our last Apply changed the object; undefined when we never applied it. */
function appliedAt({ metadata }: LiveInferenceService): number | undefined {
  const times = metadata.managedFields
    .filter(({ manager, operation, subresource }) => manager === MANAGED_BY && operation === "Apply" && !subresource)
    .map(({ time }) => Date.parse(time));
  return times.length === 0 ? undefined : Math.max(...times);
}

/** Whether services are on their way to a new form, or wait for those that are. */
export function isUnderWay({ outdated, rollingOut, preview }: RolloutState): boolean {
  return rollingOut > 0 || (outdated > 0 && preview.length === 0);
}
