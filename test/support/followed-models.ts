import type { ModelVersionKey } from "../../capabilities/support/model-version-key";
import { uniqueModel } from "./listener-fixture";
import type { MlflowRegistry } from "./mlflow-registry";

/** Registers a model with the deploy tag and so many versions, none of which has one. */
export async function registerFollowed(
  registry: MlflowRegistry,
  tag: string,
  count: number,
): Promise<ModelVersionKey[]> {
  const model = uniqueModel("followed");
  const keys: ModelVersionKey[] = [];
  for (let version = 0; version < count; version++) keys.push(await registry.register(model, "s3://models/x"));
  await registry.setModelTag(model, tag, "true");
  return keys;
}
