import { explainManagement } from "../kserve/management";
import type { ServiceFacts } from "../kserve/service-facts";
import type { Failure } from "../reconciliation/failures";
import { EVENT_STATES } from "./event-states";
import type { VersionState } from "./published";

/** What MLflow says should become of a version: a decision (reconciliation/decision.ts) without the version. */
export type Wish =
  | { readonly kind: "serve" }
  | { readonly kind: "remove" | "wait" | "refuse"; readonly reason: string };

/** All that the state of a version is made from. */
export interface VersionFacts {
  /** undefined as long as that is not known of one that has a service. */
  readonly wish: Wish | undefined;
  /** Its InferenceService, where there is one. */
  readonly service: ServiceFacts | undefined;
  /** Why it could not be reconciled the last time. */
  readonly failure?: Failure | undefined;
  /** Why its service stays although MLflow does not want it, or nobody knows whether it does: cause and cure. */
  readonly hold?: string | undefined;
}

/**
 * The state of a version, in the one form for `/services`, the tags in MLflow, the log and the page; undefined for one that
 * has nothing to do with serving.
 *
 * What a person has to act on goes before what the service itself says: a version whose latest wish was refused is `Refused`
 * also where its service goes on serving in a former form, with the address of that.
 *
 * Since when is known of what the service itself says; what a wish, a failure or a hold makes of it is so since it is told.
 *
 * @param urlOf where a service that serves answers
 */
export function versionState(
  { wish, service, failure, hold }: VersionFacts,
  urlOf: (service: ServiceFacts) => string | undefined,
): VersionState | undefined {
  if (service?.state === "Stopping") return { word: "Stopping", since: service.since, cause: service.cause };
  const url = service && urlOf(service);
  const waiting = (cause: string): VersionState => ({ word: "Waiting", url, cause });
  if (service !== undefined && hold !== undefined) return waiting(hold);
  if (failure?.kind === "permanent") {
    const word = failure.event === undefined ? "Refused" : EVENT_STATES[failure.event];
    // Of a version whose name is taken, nothing serves.
    return word === "Conflict" ? { word, cause: failure.message } : { word, url, cause: failure.message };
  }
  if (failure?.kind === "waiting") return waiting(failure.message);
  if (service !== undefined && service.management !== "managed") return waiting(explainManagement(service.management));
  switch (wish?.kind) {
    case "wait":
      return waiting(wish.reason);
    case "refuse":
      return { word: "Refused", url, cause: wish.reason };
    case "remove":
      // That it could not be taken away is more than that it should.
      return service && { word: "Stopping", cause: failure?.message ?? wish.reason };
    case "serve":
    case undefined:
      if (service !== undefined) return { word: service.state, url, since: service.since, cause: service.cause };
      // Nothing is made of it before what failed is over, and for that somebody may have to do something.
      if (failure !== undefined) return waiting(failure.message);
      return wish && { word: "Starting" };
  }
}
