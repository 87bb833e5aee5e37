import type { ModelVersionKey } from "../support/model-version-key";
import type { MlflowTransport } from "./transport";

/** Writes tags of model versions. Every method throws {@link MlflowError} when MLflow did not do it. */
export interface VersionTags {
  /** With MLflow's basic auth it needs the permission EDIT. */
  readonly set: (version: ModelVersionKey, key: string, value: string) => Promise<void>;
  /** With MLflow's basic auth it needs the permission MANAGE. That there is no such tag is success. */
  readonly delete: (version: ModelVersionKey, key: string) => Promise<void>;
}

export function createVersionTags(transport: MlflowTransport): VersionTags {
  return {
    async set({ model: name, version }, key, value) {
      await transport({ method: "POST", path: "model-versions/set-tag", body: { name, version, key, value } });
    },
    async delete({ model: name, version }, key) {
      await transport({ method: "DELETE", path: "model-versions/delete-tag", body: { name, version, key } });
    },
  };
}
