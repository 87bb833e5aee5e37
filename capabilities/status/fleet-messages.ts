import { MANAGEMENT_ANNOTATION } from "../kserve/management";
import { explainHold, isHandover } from "../reconciliation/hold-reason";
import type { HeldRemoval } from "../reconciliation/hold-reason";
import type { Deletion, Namesake } from "../reconciliation/resync";
import type { RolloutState } from "../reconciliation/template-rollout";

/** Names that a message has at the most; the log's field has more of them. */
const NAMES_IN_MESSAGE = 5;
const NAMES_IN_FIELD = 200;

/** Lines of a preview that one message has at the most. */
const DIFFERENCES_SHOWN = 20;

export interface HeldMessage {
  /** The same as long as the same services are held for the same reasons. */
  readonly identity: string;
  /** The Event's reason. */
  readonly reason: "MassDeletionHeld" | "DeletionHeld" | "HandoverUnderWay";
  readonly message: string;
  readonly services: readonly string[];
}

/** Says which services stay although MLflow does not want them, why, and what a person can do; undefined for none. */
export function describeHeld(
  removals: readonly HeldRemoval[],
  managed: number,
  namespace: string,
): HeldMessage | undefined {
  if (removals.length === 0) return undefined;
  const services = removals.map(({ inferenceService }) => inferenceService).sort();
  const reasons = [...new Set(removals.map(({ reason }) => reason))].sort();
  const identity = JSON.stringify(removals.map(({ inferenceService, reason }) => [inferenceService, reason]).sort());
  const why = reasons.map(explainHold).join("; ");
  if (reasons.every(isHandover)) {
    const message = `${namesOf(services)} will be deleted later: ${why}`;
    return { identity, reason: "HandoverUnderWay", message, services: services.slice(0, NAMES_IN_FIELD) };
  }
  const isMass = reasons.includes("mass");
  const begin = isMass ? "Mass deletion held" : "Deletion held";
  const notAllowed = removals.filter(({ isNotAllowed }) => isNotAllowed);
  // Who narrowed the list by mistake must not have to guess.
  const settings =
    notAllowed.length === 0
      ? ""
      : `Of these, ${notAllowed.length} are in a storage that is not below any of MLFLOW_KSERVE_ALLOWED_STORAGE_URIS: check the list. `;
  const message =
    `${begin}: ${removals.length} of ${managed} services are to be deleted and are kept for now (${why}): ${namesOf(services)}. ${settings}` +
    "Check that MLFLOW_KSERVE_MLFLOW_TRACKING_URI still leads to the MLflow that they were tagged in, that DEPLOY_TAG_KEY " +
    `is right, and that nobody emptied the registry. To let one go at once: kubectl delete inferenceservice -n ${namespace} NAME; ` +
    `to keep it for good: kubectl annotate inferenceservice -n ${namespace} NAME ${MANAGEMENT_ANNOTATION}=paused`;
  const reason = isMass ? "MassDeletionHeld" : "DeletionHeld";
  return { identity, reason, message, services: services.slice(0, NAMES_IN_FIELD) };
}

export interface RolloutMessage {
  readonly level: "info" | "error";
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Says how far a rollout is, or what a dry run found; undefined when there is none. */
export function describeRollout(state: RolloutState): RolloutMessage | undefined {
  const { outdated, rollingOut, stuck, preview } = state;
  if (preview.length > 0) {
    const count = preview.reduce((sum, { services }) => sum + services.length, 0);
    const changes = preview.map(({ services, differences }) => ({
      services: services.length,
      examples: services.slice(0, NAMES_IN_MESSAGE),
      differences: differences.slice(0, DIFFERENCES_SHOWN),
    }));
    const message = `Dry run of the rollout: ${count} services would change; MLFLOW_KSERVE_ROLLOUT_DRY_RUN=false lets them`;
    return { level: "info", message, fields: { changes } };
  }
  if (stuck.length > 0) {
    const [first] = stuck;
    const message =
      `Rollout stopped with ${outdated} services to go, because ${namesOf(stuck.map(({ inferenceService }) => inferenceService))} did not become ` +
      `Ready in time${first?.cause === undefined ? "" : ` (${first.cause})`}: correct the template or the setting that was changed last, or mend that service`;
    return {
      level: "error",
      message,
      fields: { outdated, stuck: stuck.map(({ inferenceService }) => inferenceService) },
    };
  }
  if (outdated === 0 && rollingOut === 0) return undefined;
  return {
    level: "info",
    message: `Rollout: ${rollingOut} being brought up to date, ${outdated} still to come`,
    fields: { outdated, rolling_out: rollingOut },
  };
}

function namesOf(names: readonly string[]): string {
  const more = names.length - NAMES_IN_MESSAGE;
  return `${names.slice(0, NAMES_IN_MESSAGE).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

/** Says which deletions do not come to their end, and who holds them; undefined for none. */
export function describeStuck(stuck: readonly Deletion[], namespace: string): string | undefined {
  if (stuck.length === 0) return undefined;
  const finalizers = [...new Set(stuck.flatMap(one => one.finalizers))].sort().join(", ");
  const names = stuck.map(({ inferenceService }) => inferenceService).sort();
  const tagged = stuck.filter(({ isTagged }) => isTagged).length;
  const anew = tagged === 0 ? "" : `; ${tagged} of them are tagged in MLflow, and made anew when they are gone`;
  return (
    `${stuck.length} services are still being deleted${anew}: ${namesOf(names)}. Held by the finalizers ${finalizers}: check that ` +
    `the controller that sets them runs (KServe's: kubectl get pods -n kserve; kubectl get inferenceservice -n ${namespace})`
  );
}

/** Says which versions are served a second time under a name that is not theirs; undefined for none. */
export function describeNamesakes(namesakes: readonly Namesake[], namespace: string): string | undefined {
  if (namesakes.length === 0) return undefined;
  const pairs = namesakes.map(({ inferenceService, beside }) => `${inferenceService} (here ${beside})`).sort();
  return (
    `Services with the labels of tagged versions, and not the names that this module gives them (${namesakes.length}): ` +
    `${namesOf(pairs)}. They are left alone and serve beside this module's. Move their callers, then delete them: kubectl delete ` +
    `inferenceservice -n ${namespace} NAME; or keep one for good: kubectl annotate inferenceservice -n ${namespace} NAME ` +
    `${MANAGEMENT_ANNOTATION}=released`
  );
}
