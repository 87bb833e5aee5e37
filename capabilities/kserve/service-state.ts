import { cutText, foreignText } from "../support/foreign-text";
import type { LiveInferenceService } from "./live-inference-service";
import { servedModelName } from "./served-model";
import { troubleOf } from "./troubles";

/** In what state an InferenceService is, by itself: the words mean what they mean for a model version. */
export type ServiceState = "Starting" | "Ready" | "Failed" | "Stopping";

/**
 * What KServe says about a service in its condition Ready. One that is not Ready is starting, until KServe or Kubernetes says
 * what is wrong with it, or it has taken too long: then it has failed. Where nobody ever says anything, it has failed as well.
 *
 * @param startLimit milliseconds that a service may take to become Ready
 * @param now Unix milliseconds
 */
export function stateOf(live: LiveInferenceService, startLimit: number, now: number = Date.now()): ServiceState {
  if (live.metadata.deletionTimestamp !== undefined) return "Stopping";
  if (isReady(live)) return "Ready";
  if (hasFailedToLoad(live) || troubleOf(live) !== undefined) return "Failed";
  return now - notReadySince(live) > startLimit ? "Failed" : "Starting";
}

/** Since when a service has been in its state, as far as KServe says: Unix milliseconds. */
export function stateSince(live: LiveInferenceService): number {
  const { deletionTimestamp } = live.metadata;
  return deletionTimestamp === undefined ? notReadySince(live) : Date.parse(deletionTimestamp);
}

/** When the condition Ready changed last; where KServe has not said anything, when the service was made. */
function notReadySince(live: LiveInferenceService): number {
  const changedAt = Date.parse(conditionOf(live, "Ready")?.lastTransitionTime ?? "");
  return Number.isNaN(changedAt) ? Date.parse(live.metadata.creationTimestamp) : changedAt;
}

/** Whether a service serves: KServe says so, and it is not on its way out. */
export function isReady({ metadata, status }: Pick<LiveInferenceService, "metadata" | "status">): boolean {
  return (
    metadata.deletionTimestamp === undefined &&
    status.conditions.some(({ type, status: word }) => type === "Ready" && word === "True")
  );
}

/** Conditions of an InferenceService's components, each of which is a Deployment in Standard mode. */
const COMPONENTS: ReadonlySet<string> = new Set(["PredictorReady", "TransformerReady", "ExplainerReady"]);

/** A component that serves from pods of a former form: its Deployment has enough of those, and its new ones are not up. */
const SERVED_BY_FORMER_PODS = "MinimumReplicasAvailable";

/**
 * Whether a service is Ready in its latest form. KServe 0.20 goes on saying Ready=True while the pods of a change come up
 * beside the former ones; only the reason of the component's condition tells (`NewReplicaSetAvailable` once they are all
 * up; PropagateRawStatus in inference_service_status.go). `status.observedGeneration` says nothing about it: it is the
 * Deployment's. Nor does a form come up of which KServe or Kubernetes can make no pods.
 */
export function isRolledOut(live: LiveInferenceService): boolean {
  const isServedByFormerPods = live.status.conditions.some(
    ({ type, reason }) => COMPONENTS.has(type) && reason === SERVED_BY_FORMER_PODS,
  );
  return isReady(live) && !isServedByFormerPods && troubleOf(live) === undefined;
}

/**
 * When what KServe says about a service's components changed last, its reason included: Unix milliseconds, in whole
 * seconds. 0 when it has said nothing.
 */
export function componentsChangedAt({ status }: LiveInferenceService): number {
  const times = status.conditions
    .filter(({ type }) => COMPONENTS.has(type))
    .map(({ lastTransitionTime }) => Date.parse(lastTransitionTime));
  return Math.max(0, ...times.filter(time => !Number.isNaN(time)));
}

/** Whether KServe has given up on the model for now: its download or its server failed. */
export function hasFailedToLoad(live: LiveInferenceService): boolean {
  return live.status.modelStatus?.transitionStatus === "BlockedByFailedLoad";
}

/** Reasons of a Deployment's condition Progressing that its controller gives while pods are being made. */
const PROGRESS = new Set(["NewReplicaSetCreated", "FoundNewReplicaSet", "ReplicaSetUpdated"]);

/** Whether a service that is not Ready is only at its beginning: KServe gives no reason, or what its Deployment does now. */
export function isStarting(live: LiveInferenceService): boolean {
  const ready = conditionOf(live, "Ready");
  if (ready === undefined || ready.status === "True" || troubleOf(live) !== undefined) return false;
  return PROGRESS.has(ready.reason) || (ready.reason === "" && ready.message === "");
}

/** Milliseconds after which a predictor that serves nothing is more than a start: scikit-learn's take some seconds. */
const USUAL_START = 120_000;

const UNKNOWN_TO_KSERVE =
  "KServe has said nothing about it: see that its controller runs (kubectl get pods -A -l control-plane=kserve-controller-manager)";

/** What KServe's model server or storage initializer wrote is cut to this many characters. */
const MAXIMUM_CAUSE_LENGTH = 500;

/**
 * Why a service is not Ready, or not gone, in one line; undefined when it is, or nobody says why. What KServe or Kubernetes
 * refuses has a sentence of its own (see {@link troubleOf}). Else the condition Ready only says that the Deployment has no
 * pods that serve. What a download or a server said when it failed is in KServe's
 * `status.modelStatus.lastFailureInfo`, and its last line is the one with the error. A server may fail without a word in
 * there (MLServer ends with code 0, and KServe only follows the download): then the place of its log is given. So it is for
 * a server that has loaded its model under another name, of which the status says nothing at all.
 *
 * @param now Unix milliseconds
 */
export function causeOf(live: LiveInferenceService, now: number = Date.now()): string | undefined {
  if (live.metadata.deletionTimestamp !== undefined) return holdersOf(live);
  const ready = conditionOf(live, "Ready");
  const failure = loadFailureOf(live) ?? troubleOf(live)?.message;
  if (ready?.status === "True")
    return failure === undefined ? undefined : `It serves in its former form; the new one does not come up: ${failure}`;
  if (failure !== undefined) return failure;
  if (ready === undefined || (ready.message === "" && ready.reason === ""))
    return now - notReadySince(live) > USUAL_START ? UNKNOWN_TO_KSERVE : undefined;
  if (ready.message === "") return undefined;
  if (conditionOf(live, "PredictorReady")?.status !== "False") return foreignText(ready.message);
  const { name, namespace } = live.metadata;
  const selector = `serving.kserve.io/inferenceservice=${name}`;
  const log = `${foreignText(ready.message)} Its log: kubectl logs -n ${namespace} -l ${selector} --all-containers`;
  if (!(now - Date.parse(ready.lastTransitionTime) > USUAL_START)) return log;
  // In MLServer 1.7 a name there beats the one that KServe gives, and the probe gets 404 for ever.
  return (
    `${log}; where that has 404 for /v2/models/${servedModelName(live)}/ready, a model-settings.json in the artifacts names another model: ` +
    "take the name out of it and log the model again"
  );
}

/** Who has to let a service go that is being deleted; undefined when nobody has to. */
function holdersOf({ metadata: { finalizers } }: LiveInferenceService): string | undefined {
  if (finalizers.length === 0) return undefined;
  return `It waits for ${finalizers.join(", ")} (finalizers): if that takes long, see that the controller that sets them runs`;
}

/** What a download or a model server said last when it failed, in one line; undefined when none failed, or said nothing. */
export function loadFailureOf(live: LiveInferenceService): string | undefined {
  if (!hasFailedToLoad(live)) return undefined;
  const { reason = "", message = "" } = live.status.modelStatus?.lastFailureInfo ?? {};
  const lastLine = message.trimEnd().split("\n").at(-1)?.trim() ?? "";
  return lastLine === "" ? undefined : `${reason}: ${cutText(foreignText(lastLine), MAXIMUM_CAUSE_LENGTH)}`;
}

/** What KServe says under one type of condition, `Ready` for the service as a whole; undefined when it says nothing yet. */
export function conditionOf(
  live: LiveInferenceService,
  type: string,
): LiveInferenceService["status"]["conditions"][number] | undefined {
  return live.status.conditions.find(condition => condition.type === type);
}
