import { withoutSecrets } from "../support/foreign-text";
import type { LiveInferenceService } from "./live-inference-service";
import { managementOf } from "./management";
import type { Management } from "./management";
import { causeOf, isReady, stateOf, stateSince } from "./service-state";
import type { ServiceState } from "./service-state";

/** What is kept of a service when there are many thousands: how it is, and where. */
export interface ServiceFacts {
  readonly name: string;
  readonly uid: string;
  readonly state: ServiceState;
  /** Unix milliseconds. */
  readonly since: number;
  readonly cause: string | undefined;
  readonly management: Management;
  /** Where KServe says that people reach it, and where the cluster itself does; only while it serves. */
  readonly urls: ServiceUrls | undefined;
}

/** KServe's two addresses of a service. */
export interface ServiceUrls {
  /** `status.url`: that of an ingress, whether there is one or not. */
  readonly external: string | undefined;
  /** `status.address.url`: that of the Service in the cluster. */
  readonly internal: string | undefined;
}

/** Milliseconds from its creation for which it says nothing that a service is not Ready: pods take some seconds to come up. */
const USUAL_SILENCE = 30_000;

/**
 * @param startLimit milliseconds that a service may take to become Ready
 * @param now Unix milliseconds
 */
export function factsOf(live: LiveInferenceService, startLimit: number, now: number = Date.now()): ServiceFacts {
  const { url, address } = live.status;
  const state = stateOf(live, startLimit, now);
  // What KServe says of a new one while its pods come up is no cause of anything.
  const isNew = state === "Starting" && now - Date.parse(live.metadata.creationTimestamp) < USUAL_SILENCE;
  return {
    name: live.metadata.name,
    uid: live.metadata.uid,
    state,
    since: stateSince(live),
    cause: isNew ? undefined : causeOf(live, now),
    management: managementOf(live.metadata),
    urls: isReady(live) ? { external: clean(url), internal: clean(address?.url) } : undefined,
  };
}

function clean(url: string | undefined): string | undefined {
  return url === undefined ? undefined : withoutSecrets(url);
}
