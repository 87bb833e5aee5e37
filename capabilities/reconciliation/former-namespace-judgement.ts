import { CREATED_BY_KEY, hasLostAnnotations, keyOf } from "../kserve/identity";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import { managementOf } from "../kserve/management";
import type { ModelVersionKey } from "../support/model-version-key";
import type { Decision } from "./decision";

/** Why a service elsewhere is still there. */
export type Because =
  /** Its namespace is none of FORMER_NAMESPACES: it may be another installation's. */
  | "unnamed"
  /** FORMER_NAMESPACE_SERVICES is keep. */
  | "kept"
  /** Its successor is not Ready yet, or it will be tried again. */
  | "waiting"
  /** It is to be moved, and MLflow does not want its version served any more. */
  | "untagged"
  /** It carries our label in a former namespace, but is not beyond doubt ours. */
  | "doubtful"
  /** Another installation made it, or made it again after it was removed. */
  | "others"
  /** The module may not remove it. */
  | "forbidden";

/** What becomes of services in former namespaces: see FORMER_NAMESPACE_SERVICES. */
export type FormerServicesPolicy = "keep" | "move" | "remove";

/** What a person decided about former namespaces. */
export interface FormerNamespacesPolicy {
  readonly former: readonly string[];
  readonly policy: FormerServicesPolicy;
}

/** What is to be done with a service elsewhere, as far as it alone says. */
export type Judgement = { readonly left: Because | "not ours" } | { readonly goes: ModelVersionKey };

/**
 * Judges one service elsewhere by its metadata. Only what is in a former namespace, is ours beyond doubt and was not made by
 * the account of another installation ever goes.
 *
 * @param ownUsername the account that we are; without it nothing goes
 */
export function judge(
  { metadata }: Pick<LiveInferenceService, "metadata">,
  { former, policy }: FormerNamespacesPolicy,
  ownUsername: string | undefined,
): Judgement {
  const key = keyOf(metadata);
  const isFormer = former.includes(metadata.namespace);
  if (key === undefined || hasLostAnnotations(metadata)) return { left: isFormer ? "doubtful" : "not ours" };
  if (!isFormer) return { left: "unnamed" };
  if (policy === "keep" || managementOf(metadata) !== "managed") return { left: "kept" };
  if (ownUsername === undefined) return { left: "waiting" };
  const maker = metadata.annotations[CREATED_BY_KEY];
  // A person may have put it back from a backup; another ServiceAccount is another installation.
  if (maker?.startsWith("system:serviceaccount:") && maker !== ownUsername) return { left: "others" };
  return { goes: key };
}

/**
 * Whether a service that is to be moved can go.
 *
 * @param isSuccessorReady about the same version's service in KUBE_NAMESPACE, when there is one
 * @param decision what MLflow says about the version when there is none; undefined when it gave no answer
 */
export function judgeMove(
  isSuccessorReady: boolean | undefined,
  decision: Decision | undefined,
): "goes" | Extract<Because, "waiting" | "untagged"> {
  if (isSuccessorReady !== undefined) return isSuccessorReady ? "goes" : "waiting";
  return decision?.kind === "remove" ? "untagged" : "waiting";
}
