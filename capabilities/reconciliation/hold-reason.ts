import type { ModelVersion } from "../mlflow/client";
import { MlflowError } from "../mlflow/errors";
import { messageOf } from "../observability/logging";
import type { ModelVersionKey } from "../support/model-version-key";

/** Why a service that MLflow does not want stays for now. */
export type HoldReason =
  /** Too many at once, or all there are. */
  | "mass"
  /** Its version came from another MLflow than the one that answers. Held until that one answers, or a person decides. */
  | "other registry"
  /** MLflow does not know the version, and nobody knows whether it ever did. */
  | "unknown registry"
  /** As before; and MLflow knows no other version of ours either, so that it may be another one altogether. Held as such. */
  | "unknown to all"
  /** The registry looks like an older state of itself, as after a restore. */
  | "registry set back"
  /** It was made by the listener before this module, or by hand, and this module never applied it. */
  | "never applied"
  /** It is the model's last Ready version, and another one is starting. */
  | "successor is starting"
  /** As before, of a model that follows its aliases, which are on the other one. Held until that one is Ready. */
  | "alias is starting"
  /** It is the last Ready version of a model that follows its aliases, and none of them is on one that can be served. */
  | "no alias"
  /** Its model's endpoint leads to it. Held until that has gone on. */
  | "endpoint"
  /** Its model's endpoint led to it a moment ago. */
  | "former champion";

/** Reasons that are no suspicion: the usual course of things, or what a person decided. */
const USUAL: ReadonlySet<HoldReason> = new Set<HoldReason>([
  ...(["successor is starting", "alias is starting", "no alias", "endpoint", "former champion"] as const),
]);

/** Whether a service stays because its model would be without a Ready version, and not because of a doubt. */
export function isHandover(reason: HoldReason): boolean {
  return USUAL.has(reason);
}

/** A service that stays although MLflow does not want it, or the settings do not allow it. */
export interface HeldRemoval {
  readonly key: ModelVersionKey;
  readonly inferenceService: string;
  readonly reason: HoldReason;
  /** It is to go because its version's storage is not allowed. */
  readonly isNotAllowed: boolean;
}

/** A service whose version is not among the tagged ones, and of which MLflow has not said either that it is to go. */
export interface UndecidedRemoval {
  readonly key: ModelVersionKey;
  /** Why nothing becomes of it, and what a person can do, in one line without an end. */
  readonly cause: string;
  /** What MLflow answered about it, where that is another thing than its search had said: newer, and about this very version. */
  readonly answer?: ModelVersion | undefined;
}

/** Somebody may have changed the version between the two, or the search reads from a replica that lags. */
export const OTHER_ANSWER =
  "MLflow's search and its answer about the very version differ, so the service stays as it is: the next poll asks again";

/** The name of an object in the cluster. */
interface ObjectName {
  readonly name: string;
  readonly namespace: string;
}

/** Why a service stays of which MLflow says nothing, and what a person can do. */
export function explainSilence(error: unknown, { name, namespace }: ObjectName): string {
  const isDenied = error instanceof MlflowError && error.facts.status === 403;
  const said = isDenied
    ? "does not let this module's user read the version (403)"
    : `does not answer (${messageOf(error)})`;
  const cure = isDenied
    ? "give the user READ on the registered model, or take the service away"
    : "the next poll asks again; to take the service away before";
  return (
    `MLflow ${said}, so that nobody knows whether its service is to go, and it stays as it is: ${cure}: ` +
    `kubectl delete inferenceservice -n ${namespace} ${name}`
  );
}

/** Why a service stays that has a version's name and labels, and is not ours to delete. */
export function explainForeign({ name, namespace }: ObjectName): string {
  return (
    `the version is not tagged, and InferenceService ${namespace}/${name} has its labels but was not made by this module, so it ` +
    "is left as it is: delete it when nobody needs it"
  );
}

/** Why a service stays for now, for a person: half a sentence, after the name of the service. */
export function explainHold(reason: HoldReason | "left to the poll"): string {
  switch (reason) {
    case "mass":
      return "many or all services are to go at once";
    case "other registry":
      return "MLflow's answer is no evidence: the service came from another MLflow than the one at MLFLOW_KSERVE_MLFLOW_TRACKING_URI";
    case "unknown registry":
      return "MLflow does not know the version, and the service does not tell which MLflow it came from";
    case "unknown to all":
      return "MLflow knows none of our services' versions, and they do not tell which MLflow they came from: it may be another one";
    case "registry set back":
      return "MLflow does not know the newest versions, as after a restore of an older backup";
    case "never applied":
      return "the service is not one that this module made, and its version is not tagged";
    case "successor is starting":
      return "it is the model's last Ready version, and goes when the version that is starting is Ready";
    case "alias is starting":
      return "it serves until the version that the model's alias is on now is Ready";
    case "no alias":
      return "the model has the deploy tag, and its aliases are on no version that can be served, so that its last Ready one stays: set the champion's alias on one, or take the tag off the model";
    case "endpoint":
      return "the model's endpoint still leads to it: it goes when that leads to another version";
    case "former champion":
      return "it was the model's champion until a moment ago, and stays for FORMER_CHAMPION_MINUTES so that the alias can be moved back at once";
    case "left to the poll":
      return "the next poll decides whether it goes";
  }
}
