import type { MlflowReader, ModelSearch, ModelVersion } from "../../../capabilities/mlflow/client";
import type { ModelVersionKey } from "../../../capabilities/support/model-version-key";
import { formatKey } from "../../../capabilities/support/model-version-key";

/** MLflow as an object: what a test puts in is what it answers, and a test may replace any of its answers. */
export interface FakeMlflow extends MlflowReader, ModelSearch {
  readonly versions: Map<string, ModelVersion>;
  readonly runs: Map<string, { experimentId: string; artifactUri: string }>;
  /** What was asked, in order: the method and its argument. */
  readonly asked: string[];
  put: (version: ModelVersion) => void;
  remove: (key: ModelVersionKey) => void;
}

export function fakeMlflow(replaced: Partial<MlflowReader> = {}): FakeMlflow {
  const versions = new Map<string, ModelVersion>();
  const runs = new Map<string, { experimentId: string; artifactUri: string }>();
  const asked: string[] = [];
  const answers: MlflowReader = {
    getModelVersion: key => Promise.resolve(versions.get(formatKey(key))),
    searchTagged: tagKey =>
      Promise.resolve([...versions.values()].filter(({ tags }) => tags.get(tagKey)?.toLowerCase() === "true")),
    searchWithTag: tagKey => Promise.resolve([...versions.values()].filter(({ tags }) => tags.has(tagKey))),
    getRun: runId => Promise.resolve(runs.get(runId)),
    getDownloadUri: key => Promise.reject(new Error(`no download URI for ${formatKey(key)}`)),
    getLoggedModelUri: modelId => Promise.reject(new Error(`no logged model ${modelId}`)),
    getDefaultExperimentCreation: () => Promise.resolve(1_600_000_000_000),
    ping: () => Promise.resolve(),
    ...replaced,
  };
  const note = (what: string): void => {
    asked.push(what);
  };
  return {
    versions,
    runs,
    asked,
    put: version => versions.set(formatKey(version), version),
    remove: key => versions.delete(formatKey(key)),
    getModelVersion(key) {
      note(`version ${formatKey(key)}`);
      return answers.getModelVersion(key);
    },
    searchTagged(tagKey) {
      note(`search ${tagKey}`);
      return answers.searchTagged(tagKey);
    },
    searchWithTag(tagKey) {
      note(`search with ${tagKey}`);
      return answers.searchWithTag(tagKey);
    },
    getRun(runId) {
      note(`run ${runId}`);
      return answers.getRun(runId);
    },
    getDownloadUri(key) {
      note(`download ${formatKey(key)}`);
      return answers.getDownloadUri(key);
    },
    getLoggedModelUri(modelId) {
      note(`logged model ${modelId}`);
      return answers.getLoggedModelUri(modelId);
    },
    getDefaultExperimentCreation() {
      note("default experiment");
      return answers.getDefaultExperimentCreation();
    },
    async findTagged(models, tagKey) {
      note(`search ${models.join()} ${tagKey}`);
      return (await answers.searchTagged(tagKey)).filter(({ model }) => models.includes(model));
    },
    findNumbered: (models, { first, last }) =>
      Promise.resolve(
        [...versions.values()].filter(
          ({ model, version }) => models.includes(model) && Number(version) >= first && Number(version) <= last,
        ),
      ),
    ping: () => answers.ping(),
  };
}
