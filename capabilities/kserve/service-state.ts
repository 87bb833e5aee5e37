import type { LiveInferenceService } from "./live-inference-service";

/** In what state an InferenceService is; Pending is one that KServe has not said anything about. */
export type ServiceState = "Ready" | "NotReady" | "Pending" | "Deleting";

/** What KServe says about a service in its condition Ready. */
export function stateOf(live: LiveInferenceService): ServiceState {
  if (live.metadata.deletionTimestamp !== undefined) return "Deleting";
  const ready = live.status.conditions.find(condition => condition.type === "Ready");
  return ready?.status === "True" ? "Ready" : ready?.status === "False" ? "NotReady" : "Pending";
}
