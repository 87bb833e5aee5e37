import { foreignText } from "../support/foreign-text";
import type { LiveInferenceService } from "./live-inference-service";

/** What keeps a service from ever being Ready until somebody changes something, as far as KServe's status tells it. */
export interface Trouble {
  /** The Event's reason. */
  readonly reason: "NoRuntime" | "InvalidSpec" | "PodsRefused";
  /** Cause and cure, in one sentence without an end. */
  readonly message: string;
}

/** KServe's reasons (FailureReason in inference_service_status.go) that are about the ServingRuntime. */
const RUNTIME_REASONS: ReadonlySet<string> = new Set([
  "NoSupportingRuntime",
  "RuntimeNotRecognized",
  "RuntimeDisabled",
]);

/** A Deployment's ReplicaFailure, which KServe 0.20 hands on: there are no pods whose log could say anything. */
const FAILED_CREATE = "FailedCreate";

/** Why KServe makes no workload of a service, or Kubernetes no pods of that; undefined when nothing of this kind is wrong. */
export function troubleOf(live: LiveInferenceService): Trouble | undefined {
  return invalidSpec(live) ?? refusedPods(live);
}

/** KServe sets no condition then: the service stays as it was, and a new one Unknown for ever. */
function invalidSpec({ spec, status }: LiveInferenceService): Trouble | undefined {
  if (status.modelStatus?.transitionStatus !== "InvalidSpec") return undefined;
  const { reason = "", message = "" } = status.modelStatus.lastFailureInfo ?? {};
  const said = [reason, foreignText(message)].filter(Boolean).join(": ");
  if (!RUNTIME_REASONS.has(reason)) {
    return {
      reason: "InvalidSpec",
      message: `KServe can make no pods of it (${said}): correct the template, or the ServingRuntime that it leads to`,
    };
  }
  const wants = wantedOf(spec);
  return {
    reason: "NoRuntime",
    message:
      `KServe has no serving runtime for it (${[said, wants].filter(Boolean).join("; ")}): install or enable one that ` +
      "supports that (kubectl get clusterservingruntimes), or change modelFormat, protocolVersion or runtime in the template",
  };
}

/** What the predictor asks a runtime for, like `model format mlflow, protocolVersion v2`. */
function wantedOf(spec: LiveInferenceService["spec"]): string {
  const model = fieldOf(fieldOf(spec, "predictor"), "model");
  const format = fieldOf(fieldOf(model, "modelFormat"), "name");
  const wanted = [
    ["model format", format],
    ["protocolVersion", fieldOf(model, "protocolVersion")],
    ["runtime", fieldOf(model, "runtime")],
  ];
  return wanted
    .filter((entry): entry is [string, string] => typeof entry[1] === "string")
    .map(([what, value]) => `${what} ${foreignText(value)}`)
    .join(", ");
}

function fieldOf(value: unknown, field: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[field] : undefined;
}

function refusedPods({ metadata, status }: LiveInferenceService): Trouble | undefined {
  const refused = status.conditions.find(({ reason, status: word }) => reason === FAILED_CREATE && word === "False");
  if (refused === undefined) return undefined;
  // The name of the pod is another one each time.
  const said = refused.message.replace(/^pods "[^"]*" is forbidden: /, "");
  const [, level, violations = ""] = /^violates PodSecurity "([^"]*)": (.*)$/s.exec(said) ?? [];
  const [, quota] = /^exceeded quota: (.*)$/s.exec(said) ?? [];
  const { name, namespace } = metadata;
  const about = (cause: string, cure: string): Trouble => ({
    reason: "PodsRefused",
    message: `Kubernetes makes no pods for it: ${cause}: ${cure}`,
  });
  if (level !== undefined)
    return about(
      `they violate the Pod Security level ${level} of the namespace ${namespace} (${foreignText(violations)})`,
      "give the template the securityContext that it asks for, or the namespace another level (label pod-security.kubernetes.io/enforce)",
    );
  if (quota !== undefined)
    return about(
      `a quota of the namespace ${namespace} is exceeded (${foreignText(quota)})`,
      "raise the ResourceQuota, lower the predictors' requests and limits, or take tags away from other versions",
    );
  return about(
    foreignText(said),
    `see what refuses them with kubectl describe replicasets -n ${namespace} -l serving.kserve.io/inferenceservice=${name}`,
  );
}
