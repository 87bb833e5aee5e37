import { GenericKind } from "kubernetes-fluent-client";
import { RegisterKind } from "pepr";

/** KServe's InferenceService as far as the module reads it; what is not named here is kept as it is. */
export class InferenceService extends GenericKind {
  declare spec?: Record<string, unknown>;
  declare status?: InferenceServiceStatus;
}

export interface InferenceServiceStatus {
  url?: string;
  conditions?: { type: string; status: string; reason?: string; message?: string; lastTransitionTime?: string }[];
}

RegisterKind(InferenceService, { group: "serving.kserve.io", version: "v1beta1", kind: "InferenceService" });
