import type { LiveInferenceService } from "./live-inference-service";

/** In what state an InferenceService is; Pending is one that KServe has not said anything about. */
export type ServiceState = "Ready" | "NotReady" | "Pending" | "Deleting";

/** What KServe says about a service in its condition Ready. */
export function stateOf(live: LiveInferenceService): ServiceState {
  if (live.metadata.deletionTimestamp !== undefined) return "Deleting";
  const ready = conditionOf(live, "Ready");
  return ready?.status === "True" ? "Ready" : ready?.status === "False" ? "NotReady" : "Pending";
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
  if (ready === undefined || ready.status === "True") return false;
  return PROGRESS.has(ready.reason) || (ready.reason === "" && ready.message === "");
}

/** What KServe's model server or storage initializer wrote is cut to this many characters. */
const MAXIMUM_CAUSE_LENGTH = 500;

/**
 * Why a service is not Ready, in one line; undefined when it is, or nobody says why. The condition Ready only says that
 * the Deployment has no pods that serve. What a download or a server said when it failed is in KServe's
 * `status.modelStatus.lastFailureInfo`, and its last line is the one with the error. A server may fail without a word in
 * there (MLServer ends with code 0, and KServe only follows the download): then the place of its log is given.
 */
export function causeOf(live: LiveInferenceService): string | undefined {
  const ready = conditionOf(live, "Ready");
  if (ready?.status === "True") return undefined;
  if (hasFailedToLoad(live)) {
    const { reason = "", message = "" } = live.status.modelStatus?.lastFailureInfo ?? {};
    const lastLine = message.trimEnd().split("\n").at(-1)?.trim() ?? "";
    if (lastLine !== "") return `${reason}: ${lastLine.slice(0, MAXIMUM_CAUSE_LENGTH)}`;
  }
  if (ready === undefined || ready.message === "") return undefined;
  if (conditionOf(live, "PredictorReady")?.status !== "False") return ready.message;
  const { name, namespace } = live.metadata;
  const selector = `serving.kserve.io/inferenceservice=${name}`;
  return `${ready.message} Its log: kubectl logs -n ${namespace} -l ${selector} --all-containers`;
}

/** What KServe says under one type of condition, `Ready` for the service as a whole; undefined when it says nothing yet. */
export function conditionOf(
  live: LiveInferenceService,
  type: string,
): LiveInferenceService["status"]["conditions"][number] | undefined {
  return live.status.conditions.find(condition => condition.type === type);
}
