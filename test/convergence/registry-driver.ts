import { MlflowError } from "../../capabilities/mlflow/errors";
import { createMlflowTransport } from "../../capabilities/mlflow/transport";
import type { MlflowCall } from "../../capabilities/mlflow/transport";
import { formatKey } from "../../capabilities/support/model-version-key";
import type { ModelVersionKey } from "../../capabilities/support/model-version-key";
import type { RegistryOperation, VersionReference } from "./operations";

/** The people who use MLflow. They talk to MLflow itself: faults between it and the module do not reach them. */
export interface RegistryDriver {
  /** @returns false when there was nothing to do it to. @throws MlflowError when MLflow refuses or does not answer */
  execute: (operation: RegistryOperation) => Promise<boolean>;
  /** Who the reference means now, which may have been deleted since it was made. */
  resolve: (reference: VersionReference) => ModelVersionKey | undefined;
  /** Every version that there ever was, under every name that it had. */
  readonly everKnown: () => Iterable<ModelVersionKey>;
  /** Names the models of the next piece of music; those of the last one stay as they are. */
  useModels: (names: readonly string[]) => void;
  /** Deletes all models that were ever made by it. */
  deleteAll: () => Promise<void>;
}

/** One registered model, under the name that it has now. */
interface Model {
  name: string;
  readonly versions: string[];
  /** Resolves when it is registered. */
  registered: Promise<void> | undefined;
}

export function createRegistryDriver(trackingUri: string, tagKey: string): RegistryDriver {
  const transport = createMlflowTransport({ trackingUri, deadline: 30_000 });
  const names = new Set<string>();
  const known = new Map<string, ModelVersionKey>();
  let models: Model[] = [];

  const post = async (path: string, body: unknown): Promise<unknown> => await transport({ method: "POST", path, body });
  const remove = async (path: string, body: unknown): Promise<void> => {
    await transport({ method: "DELETE", path, body });
  };
  const modelAt = (index: number): Model => {
    const model = models[index % models.length];
    if (model === undefined) throw new Error("There are no models: call useModels before");
    return model;
  };

  const know = ({ name, versions }: Model): void => {
    for (const version of versions) known.set(formatKey({ model: name, version }), { model: name, version });
  };

  const registerModel = async (model: Model, index: number): Promise<void> => {
    names.add(model.name);
    try {
      await post("registered-models/create", { name: model.name });
    } catch (error) {
      if (!(error instanceof MlflowError) || error.kind !== "refused") throw error;
      if (error.code === "RESOURCE_ALREADY_EXISTS") return;
      // MLflow does not take the name; with another one the model is of some use all the same.
      model.name = `model-${index}`;
      names.add(model.name);
      await post("registered-models/create", { name: model.name });
    }
  };

  const createVersion = async (index: number, source: string, tag?: string): Promise<void> => {
    const model = modelAt(index);
    model.registered ??= registerModel(model, index);
    await model.registered.catch((error: unknown) => {
      model.registered = undefined;
      throw error;
    });
    const tags = tag === undefined ? [] : [{ key: tagKey, value: tag }];
    const answer = await post("model-versions/create", { name: model.name, source, tags });
    const { version } = (answer as { model_version: { version: string } }).model_version;
    model.versions.push(version);
    know(model);
  };

  const deleteModel = async (index: number): Promise<void> => {
    const model = modelAt(index);
    await remove("registered-models/delete", { name: model.name });
    model.versions.length = 0;
    model.registered = undefined;
  };

  const resolve = (reference: VersionReference): ModelVersionKey | undefined => {
    // A model without versions lets the next one have its turn.
    const model = models
      .map((_, after) => modelAt(reference.model + after))
      .find(({ versions }) => versions.length > 0);
    const version = model?.versions[reference.version % model.versions.length];
    return model === undefined || version === undefined ? undefined : { model: model.name, version };
  };

  const setTag = async ({ model, version }: ModelVersionKey, key: string, value: string): Promise<void> => {
    await post("model-versions/set-tag", { name: model, version, key, value });
  };

  const onVersion = async (
    reference: VersionReference,
    change: (key: ModelVersionKey) => Promise<void>,
  ): Promise<boolean> => {
    const key = resolve(reference);
    if (key === undefined) return false;
    await change(key);
    return true;
  };

  const deleteTag = async ({ model, version }: ModelVersionKey): Promise<void> => {
    await remove("model-versions/delete-tag", { name: model, version, key: tagKey });
  };
  const deleteVersion = async ({ model, version }: ModelVersionKey): Promise<void> => {
    await remove("model-versions/delete", { name: model, version });
  };

  return {
    resolve,
    everKnown: () => known.values(),

    async execute(operation) {
      switch (operation.kind) {
        case "create version":
          await createVersion(operation.model, operation.source, operation.tag);
          return true;
        case "set tag":
          return await onVersion(operation.of, key => setTag(key, tagKey, operation.value));
        case "delete tag":
          return await onVersion(operation.of, deleteTag);
        case "flip tag":
          return await onVersion(operation.of, async key => {
            for (let time = 0; time < operation.times; time++) {
              await setTag(key, tagKey, "true");
              await (time % 2 === 0 ? deleteTag(key) : setTag(key, tagKey, "false"));
            }
            await setTag(key, tagKey, operation.value);
          });
        case "set other tag":
          return await onVersion(operation.of, key => setTag(key, `${tagKey}-not`, operation.value));
        case "set model tag": {
          const { name, registered } = modelAt(operation.model);
          if (registered === undefined) return false;
          const { value } = operation;
          if (value === null) await remove("registered-models/delete-tag", { name, key: tagKey });
          else await post("registered-models/set-tag", { name, key: tagKey, value });
          return true;
        }
        case "set alias":
          return await onVersion(operation.of, async ({ model: name, version }) => {
            await post("registered-models/alias", { name, version, alias: operation.alias });
          });
        case "delete alias": {
          const { name, registered } = modelAt(operation.model);
          if (registered === undefined) return false;
          await remove("registered-models/alias", { name, alias: operation.alias });
          return true;
        }
        case "delete version":
          return await onVersion(operation.of, deleteVersion);
        case "register again":
          return await onVersion(operation.of, async key => {
            await deleteVersion(key);
            await createVersion(operation.as, operation.source);
            const { name, versions } = modelAt(operation.as);
            const version = versions.at(-1);
            if (version !== undefined) await setTag({ model: name, version }, tagKey, operation.tag);
          });
        case "rename model": {
          const model = modelAt(operation.model);
          if (model.registered === undefined) return false;
          names.add(operation.name);
          await post("registered-models/rename", { name: model.name, new_name: operation.name });
          model.name = operation.name;
          know(model);
          return true;
        }
        case "delete model":
          if (modelAt(operation.model).registered === undefined) return false;
          await deleteModel(operation.model);
          return true;
        case "replace model":
          if (modelAt(operation.model).registered === undefined) return false;
          await deleteModel(operation.model);
          await createVersion(operation.model, operation.source, operation.tag);
          return true;
      }
    },

    useModels(wanted) {
      models = wanted.map(name => ({ name, versions: [], registered: undefined }));
    },

    async deleteAll() {
      for (const name of names) {
        await remove("registered-models/delete", { name }).catch((error: unknown) => {
          // Deleted or renamed before.
          if (!(error instanceof MlflowError) || error.kind !== "refused") throw error;
        });
      }
      names.clear();
      models = [];
    },
  };
}

/** Deletes a registered model with all its versions. */
export async function deleteModel(trackingUri: string, name: string): Promise<void> {
  const transport = createMlflowTransport({ trackingUri, deadline: 30_000 });
  await transport({ method: "DELETE", path: "registered-models/delete", body: { name } });
}

/** Deletes the webhooks of this name, so that MLflow stops delivering to an address where nobody listens any more. */
export async function deleteWebhooks(trackingUri: string, name: string): Promise<void> {
  const transport = createMlflowTransport({ trackingUri, deadline: 30_000 });
  const list: MlflowCall = { method: "GET", path: "webhooks", query: { max_results: "100" } };
  const { webhooks = [] } = (await transport(list)) as { webhooks?: { webhook_id: string; name: string }[] };
  for (const webhook of webhooks.filter(one => one.name === name)) {
    await transport({ method: "DELETE", path: `webhooks/${webhook.webhook_id}` });
  }
}
