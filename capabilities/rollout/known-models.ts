import { deploys } from "../mlflow/deploy-tag";
import type { RegisteredModel, RegisteredModelReader } from "../mlflow/registered-models";
import { limited } from "../support/limited";

/** Reads of single models at the same time: MLflow reads all versions of a model for each, and answers no more at once. */
const READS = 8;

/** What was heard last about the models that have the deploy tag: a hint of which are worth a look, and never more. */
export interface KnownModels {
  readonly reader: RegisteredModelReader;
  /** Those that the last search found, by name. */
  readonly found: () => ReadonlyMap<string, RegisteredModel>;
  /** Whether a model had the deploy tag when it was last heard of. */
  readonly mayFollow: (model: string) => boolean;
}

export function rememberModels(reader: RegisteredModelReader, deployTagKey: string): KnownModels {
  let found: ReadonlyMap<string, RegisteredModel> = new Map();
  /** Those that were read by themselves since. */
  const read = new Set<string>();
  const getModel = limited(READS, async (name: string) => {
    const model = await reader.getModel(name);
    if (model !== undefined && deploys(model.tags.get(deployTagKey))) read.add(name);
    return model;
  });
  return {
    reader: {
      getModel,
      async searchTaggedModels(tagKey) {
        read.clear();
        const models = await reader.searchTaggedModels(tagKey);
        found = new Map(models.map(model => [model.name, model]));
        return models;
      },
    },
    found: () => found,
    mayFollow: model => found.has(model) || read.has(model),
  };
}
