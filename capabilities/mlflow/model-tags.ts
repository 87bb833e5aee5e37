import type { MlflowTransport } from "./transport";

/** Writes tags of registered models. Every method throws {@link MlflowError} when MLflow did not do it. */
export interface ModelTags {
  /** With MLflow's basic auth it needs the permission EDIT. */
  readonly set: (model: string, key: string, value: string) => Promise<void>;
  /** With MLflow's basic auth it needs the permission MANAGE. That there is no such tag is success. */
  readonly delete: (model: string, key: string) => Promise<void>;
}

export function createModelTags(transport: MlflowTransport): ModelTags {
  return {
    async set(name, key, value) {
      await transport({ method: "POST", path: "registered-models/set-tag", body: { name, key, value } });
    },
    async delete(name, key) {
      await transport({ method: "DELETE", path: "registered-models/delete-tag", body: { name, key } });
    },
  };
}
