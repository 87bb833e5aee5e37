import { randomUUID } from "node:crypto";
import { fixedAccess } from "../../capabilities/mlflow/access";
import type { MlflowAccess } from "../../capabilities/mlflow/access";
import { createMlflowTransport } from "../../capabilities/mlflow/transport";
import type { ModelVersionKey } from "../../capabilities/support/model-version-key";

/** A model registry as other people change it: MLflow's REST API, which its Python client calls too. */
export interface MlflowRegistry {
  /** Registers the first version of a new model, or a further one, and returns its key. */
  register: (
    model: string,
    source?: string,
    tags?: Readonly<Record<string, string>>,
    runId?: string,
  ) => Promise<ModelVersionKey>;
  setTag: (key: ModelVersionKey, name: string, value: string) => Promise<void>;
  deleteTag: (key: ModelVersionKey, name: string) => Promise<void>;
  tagsOf: (key: ModelVersionKey) => Promise<ReadonlyMap<string, string>>;
  modelTagsOf: (model: string) => Promise<ReadonlyMap<string, string>>;
  /** Sets a tag of a registered model, of which MLflow tells nobody; undefined deletes it. */
  setModelTag: (model: string, name: string, value: string | undefined) => Promise<void>;
  /** Sets an alias on a version, from wherever it was. */
  setAlias: (key: ModelVersionKey, alias: string) => Promise<void>;
  deleteAlias: (model: string, alias: string) => Promise<void>;
  deleteVersion: (key: ModelVersionKey) => Promise<void>;
  /** Gives a registered model another name; its versions stay what they are. */
  renameModel: (model: string, newName: string) => Promise<void>;
  /** Deletes a model with all its versions: the next of this name begins with version 1 again. */
  deleteModel: (model: string) => Promise<void>;
  /** Makes an experiment with one run in it. */
  createRun: () => Promise<{ readonly experimentId: string; readonly runId: string }>;
}

/** @param access how it is called, where the address does not say it */
export function openRegistry(trackingUri: string, access: MlflowAccess = { tls: {} }): MlflowRegistry {
  const transport = createMlflowTransport({ trackingUri, access: fixedAccess(access), deadline: 30_000 });
  const models = new Set<string>();
  return {
    async register(model, source = "s3://models/artifacts", tags = {}, runId) {
      if (!models.has(model)) {
        await transport({ method: "POST", path: "registered-models/create", body: { name: model } });
        models.add(model);
      }
      const list = Object.entries(tags).map(([key, value]) => ({ key, value }));
      const body = { name: model, source, tags: list, ...(runId === undefined ? {} : { run_id: runId }) };
      const answer = await transport({ method: "POST", path: "model-versions/create", body });
      return { model, version: (answer as { model_version: { version: string } }).model_version.version };
    },
    async setTag({ model, version }, key, value) {
      await transport({ method: "POST", path: "model-versions/set-tag", body: { name: model, version, key, value } });
    },
    async deleteTag({ model, version }, key) {
      await transport({ method: "DELETE", path: "model-versions/delete-tag", body: { name: model, version, key } });
    },
    async tagsOf({ model, version }) {
      const answer = await transport({ method: "GET", path: "model-versions/get", query: { name: model, version } });
      const { tags = [] } = (answer as { model_version: { tags?: { key: string; value: string }[] } }).model_version;
      return new Map(tags.map(({ key, value }) => [key, value]));
    },
    async modelTagsOf(name) {
      const answer = await transport({ method: "GET", path: "registered-models/get", query: { name } });
      const { tags = [] } = (answer as { registered_model: { tags?: { key: string; value: string }[] } })
        .registered_model;
      return new Map(tags.map(({ key, value }) => [key, value]));
    },
    async setModelTag(model, key, value) {
      if (value === undefined)
        await transport({ method: "DELETE", path: "registered-models/delete-tag", body: { name: model, key } });
      else await transport({ method: "POST", path: "registered-models/set-tag", body: { name: model, key, value } });
    },
    async setAlias({ model, version }, alias) {
      await transport({ method: "POST", path: "registered-models/alias", body: { name: model, alias, version } });
    },
    async deleteAlias(model, alias) {
      await transport({ method: "DELETE", path: "registered-models/alias", body: { name: model, alias } });
    },
    async deleteVersion({ model, version }) {
      await transport({ method: "DELETE", path: "model-versions/delete", body: { name: model, version } });
    },
    async renameModel(model, newName) {
      await transport({ method: "POST", path: "registered-models/rename", body: { name: model, new_name: newName } });
    },
    async deleteModel(model) {
      await transport({ method: "DELETE", path: "registered-models/delete", body: { name: model } });
      models.delete(model);
    },
    async createRun() {
      const name = randomUUID();
      const experiment = await transport({ method: "POST", path: "experiments/create", body: { name } });
      const { experiment_id } = experiment as { experiment_id: string };
      const run = await transport({ method: "POST", path: "runs/create", body: { experiment_id } });
      return { experimentId: experiment_id, runId: (run as { run: { info: { run_id: string } } }).run.info.run_id };
    },
  };
}
