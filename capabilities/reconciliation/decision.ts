import type { ModelVersion } from "../mlflow/client";
import { deploys } from "../mlflow/deploy-tag";
import { foreignText } from "../support/foreign-text";

/** What MLflow says should be in the cluster for one model version. */
export type Decision =
  | { readonly kind: "serve"; readonly version: ModelVersion }
  /** A positive answer that there is to be no service. */
  | { readonly kind: "remove"; readonly reason: string }
  /** Tagged, but not to be served now; what is there is left alone. */
  | { readonly kind: "wait"; readonly reason: string }
  /** Tagged, and never to be served as it is; what is there is left alone. The reason says what to do. */
  | { readonly kind: "refuse"; readonly reason: string };

/**
 * Decides from MLflow's positive answer about a version (undefined: MLflow says that it does not exist).
 *
 * What counts as a tag that deploys, {@link deploys} says. A version without the tag is served where its model wants it by an
 * alias.
 */
export function decide(version: ModelVersion | undefined, deployTagKey: string): Decision {
  if (version === undefined) return { kind: "remove", reason: "the model version does not exist in MLflow" };
  const value = version.tags.get(deployTagKey);
  if (value === undefined && version.modelWish?.alias === undefined) {
    const reason = `the model version has no tag ${deployTagKey}`;
    return {
      kind: "remove",
      reason: version.modelWish === undefined ? reason : `${reason}, and its model no alias on it`,
    };
  }
  if (value !== undefined && !deploys(value))
    return { kind: "remove", reason: `the tag ${deployTagKey} is not "true"` };
  if (version.status === "FAILED_REGISTRATION") return { kind: "refuse", reason: registrationFailed(version) };
  if (version.status !== "READY") {
    return { kind: "wait", reason: `MLflow has not finished the registration of the version (${version.status})` };
  }
  return { kind: "serve", version };
}

/** MLflow never takes the status back, nor does it try again by itself. */
function registrationFailed({ statusMessage }: ModelVersion): string {
  const cause =
    statusMessage === undefined ? "without saying why" : `saying ${JSON.stringify(foreignText(statusMessage))}`;
  return (
    `MLflow failed to register the version (FAILED_REGISTRATION), ${cause}: ` +
    "register it again, as a new version, and tag that one"
  );
}

/** Whether two looks at the same version ask for the same thing. */
export function sameDecision(one: Decision, other: Decision): boolean {
  if (one.kind !== "serve" || other.kind !== "serve") return one.kind === other.kind;
  // Deleted and made again, a version is another one, even of the same source: that may lead elsewhere now.
  return (["source", "runId", "createdAt"] as const).every(field => one.version[field] === other.version[field]);
}
