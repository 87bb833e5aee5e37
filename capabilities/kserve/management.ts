import type { IdentityMetadata } from "./identity";

/** Annotation by which a person tells the module to leave one InferenceService alone; the module never sets it. */
export const MANAGEMENT_ANNOTATION = "mlflow.management";

/**
 * What the module may do with an InferenceService of its own: everything (`managed`), nothing for the time being
 * (`paused`), or nothing ever again, since it is somebody else's now (`released`).
 */
export type Management = "managed" | "paused" | "released";

/**
 * How an object is managed, as {@link MANAGEMENT_ANNOTATION} says. Without it, or with an empty one, it is managed. Any
 * value but `released` counts as `paused`, misspelt ones too: whoever set it wanted the module to keep its hands off, and
 * an Apply or Delete against that wish cannot be taken back, while a pause that was not meant only waits.
 */
export function managementOf({ annotations }: Pick<IdentityMetadata, "annotations">): Management {
  const value = annotations?.[MANAGEMENT_ANNOTATION] ?? "";
  if (value === "") return "managed";
  return value === "released" ? "released" : "paused";
}

/** Why nothing is done about a service that is not `managed`, and how to have it otherwise. */
export function explainManagement(management: Exclude<Management, "managed">): string {
  return management === "paused"
    ? "a person has paused the service (annotation mlflow.management=paused): take the annotation off to have it follow MLflow again"
    : "the service was handed over to people (annotation mlflow.management=released): delete it to have the version served from MLflow again";
}
