import * as z from "zod";
import { formatKey } from "../support/model-version-key";
import type { ModelVersionKey } from "../support/model-version-key";
import { isAboutVersion, orDoesNotExist } from "./absence";
import { MlflowError } from "./errors";
import { pagesOf } from "./pages";
import { parse } from "./parse";
import type { MlflowCall, MlflowTransport } from "./transport";

/** Most versions that MLflow gives in one page of a search (its documented maximum is 200,000; this keeps pages small). */
const PAGE_SIZE = 1000;

/** What a text in a list of a search filter may consist of: MLflow reads the list as Python, which knows escapes. */
const SEARCHABLE_NAME = /^[\p{L}\p{N}_. -]+$/u;

/** Milliseconds since the epoch: MLflow writes a number, the JSON form of its protocol's 64 bits would be a text. */
const timestamp = z.union([z.number().nonnegative(), z.string().regex(/^\d+$/).transform(Number)]);

const keyValue = z.object({ key: z.string(), value: z.string().default("") });

const modelVersionSchema = z.object({
  name: z.string().min(1),
  version: z.union([z.string(), z.number().int().transform(String)]),
  source: z.string().default(""),
  run_id: z.string().default(""),
  status: z.string().default("READY"),
  status_message: z.string().default(""),
  creation_timestamp: timestamp.default(0),
  tags: z.array(keyValue).default([]),
});

const modelVersionAnswer = z.object({ model_version: modelVersionSchema });
const searchAnswer = z.object({
  model_versions: z.array(modelVersionSchema).default([]),
  next_page_token: z.string().optional(),
});
const runAnswer = z.object({
  run: z.object({ info: z.object({ experiment_id: z.string(), artifact_uri: z.string().default("") }) }),
});
const experimentAnswer = z.object({ experiment: z.object({ creation_time: timestamp.optional() }) });
const downloadUriAnswer = z.object({ artifact_uri: z.string().min(1) });
const loggedModelAnswer = z.object({ model: z.object({ info: z.object({ artifact_uri: z.string().min(1) }) }) });

/** What a registered model with the deploy tag says about a version. */
export interface ModelWish {
  /** The alias by which it wants the version; undefined when it is on none that is followed. */
  readonly alias: string | undefined;
}

/** A model version as MLflow tells it. */
export interface ModelVersion extends ModelVersionKey {
  /** Where its artifacts were logged: any of MLflow's URI forms. */
  readonly source: string;
  /** Empty when the version was not made from a run. */
  readonly runId: string;
  /** READY, PENDING_REGISTRATION or FAILED_REGISTRATION. */
  readonly status: string;
  /**
   * When the version was made, in milliseconds since the epoch: tells a version from another that had its number before
   * it was deleted. 0 when MLflow does not say.
   */
  readonly createdAt: number;
  /** MLflow's words on the status, when it has any. */
  readonly statusMessage?: string;
  readonly tags: ReadonlyMap<string, string>;
  /** What its model says about it, where that has the deploy tag and the version has none of its own. */
  readonly modelWish?: ModelWish | undefined;
}

/** What the module reads from MLflow. Every method throws {@link MlflowError} when there is no answer to rely on. */
export interface MlflowReader {
  /** undefined is a positive answer: MLflow says that the version does not exist. */
  getModelVersion: (key: ModelVersionKey) => Promise<ModelVersion | undefined>;
  /** All versions whose tag `tagKey` is `true` in any case, or an error: never a part of them. */
  searchTagged: (tagKey: string) => Promise<ModelVersion[]>;
  /** All versions that have the tag, whatever its value, or an error: never a part of them. */
  searchWithTag: (tagKey: string) => Promise<ModelVersion[]>;
  /** undefined when the run does not exist any more. */
  getRun: (runId: string) => Promise<{ experimentId: string; artifactUri: string } | undefined>;
  /** Where the version's artifacts are, with MLflow's indirections (`models:/m-…`, `runs:/…`) resolved by MLflow. */
  getDownloadUri: (key: ModelVersionKey) => Promise<string>;
  /** Where a logged model's artifacts are. */
  getLoggedModelUri: (modelId: string) => Promise<string>;
  /**
   * When MLflow's first experiment was made, in milliseconds since the epoch: a database is given it at its birth and
   * keeps it in every copy. undefined when MLflow says that it has none, or not when it was made.
   */
  getDefaultExperimentCreation: () => Promise<number | undefined>;
  /** One cheap call that shows whether MLflow answers. */
  ping: () => Promise<void>;
}

/** Version numbers from the first to the last, both included. */
export interface VersionNumbers {
  readonly first: number;
  readonly last: number;
}

/** What MLflow can be asked about many versions at once. */
export interface ModelSearch {
  /**
   * The versions of these models whose tag `tagKey` is `true` in any case; of very many only a part, so that the absence of
   * one says nothing. Throws {@link MlflowError}, of the kind refused where MLflow cannot search for a list of names, as
   * older versions cannot.
   *
   * @param models names of which each {@link isSearchableName}
   */
  findTagged: (models: readonly string[], tagKey: string) => Promise<ModelVersion[]>;
  /** The same of those with these numbers, with the tag or without it. */
  findNumbered: (models: readonly string[], numbers: VersionNumbers) => Promise<ModelVersion[]>;
}

/** Whether a {@link ModelSearch} can be asked for a model of this name. */
export function isSearchableName(model: string): boolean {
  return SEARCHABLE_NAME.test(model);
}

export function createMlflowReader(transport: MlflowTransport, pageSize = PAGE_SIZE): MlflowReader & ModelSearch {
  const findOf = async (models: readonly string[], condition: string): Promise<ModelVersion[]> => {
    const names = models.map(model => `'${model}'`).join(",");
    const call = searchCall(`name IN (${names}) AND ${condition}`, pageSize);
    return parse(searchAnswer, await transport(call), call).model_versions.map(modelVersionOf);
  };

  const searchAll = async (filter: string): Promise<ModelVersion[]> => {
    const found = new Map<string, ModelVersion>();
    for await (const page of pagesOf(token => searchCall(filter, pageSize, token), transport, searchAnswer)) {
      for (const version of page.model_versions.map(modelVersionOf)) found.set(formatKey(version), version);
    }
    return [...found.values()];
  };

  return {
    findTagged: (models, tagKey) => findOf(models, isTagged(tagKey)),

    findNumbered: (models, { first, last }) =>
      findOf(models, `version_number >= ${first} AND version_number <= ${last}`),

    async getModelVersion(key) {
      const call: MlflowCall = {
        method: "GET",
        path: "model-versions/get",
        query: { name: key.model, version: key.version },
      };
      const answer = await orDoesNotExist(transport(call), isAboutVersion);
      if (answer === undefined) return undefined;
      const version = modelVersionOf(parse(modelVersionAnswer, answer, call).model_version);
      if (version.model !== key.model || version.version !== key.version) {
        throw new MlflowError(
          "unexpected",
          `${call.path} was answered with another model version than the one asked for`,
        );
      }
      return version;
    },

    searchTagged: tagKey => searchAll(isTagged(tagKey)),

    searchWithTag: tagKey => searchAll(`tag.\`${tagKey}\` LIKE '%'`),

    async getRun(runId) {
      const call: MlflowCall = { method: "GET", path: "runs/get", query: { run_id: runId } };
      const answer = await orDoesNotExist(transport(call));
      if (answer === undefined) return undefined;
      const { experiment_id, artifact_uri } = parse(runAnswer, answer, call).run.info;
      return { experimentId: experiment_id, artifactUri: artifact_uri };
    },

    async getDownloadUri(key) {
      const call: MlflowCall = {
        method: "GET",
        path: "model-versions/get-download-uri",
        query: { name: key.model, version: key.version },
      };
      return parse(downloadUriAnswer, await transport(call), call).artifact_uri;
    },

    async getLoggedModelUri(modelId) {
      const call: MlflowCall = { method: "GET", path: `logged-models/${encodeURIComponent(modelId)}` };
      return parse(loggedModelAnswer, await transport(call), call).model.info.artifact_uri;
    },

    async getDefaultExperimentCreation() {
      const call: MlflowCall = { method: "GET", path: "experiments/get", query: { experiment_id: "0" } };
      const answer = await orDoesNotExist(transport(call));
      return answer === undefined ? undefined : parse(experimentAnswer, answer, call).experiment.creation_time;
    },

    async ping() {
      const call: MlflowCall = { method: "GET", path: "model-versions/search", query: { max_results: "1" } };
      parse(searchAnswer, await transport(call), call);
    },
  };
}

function isTagged(tagKey: string): string {
  return `tag.\`${tagKey}\` ILIKE 'true'`;
}

function searchCall(filter: string, pageSize: number, pageToken?: string): MlflowCall {
  return {
    method: "GET",
    path: "model-versions/search",
    query: {
      filter,
      max_results: String(pageSize),
      ...(pageToken === undefined ? {} : { page_token: pageToken }),
    },
  };
}

function modelVersionOf(answer: z.output<typeof modelVersionSchema>): ModelVersion {
  return {
    model: answer.name,
    version: answer.version,
    source: answer.source,
    runId: answer.run_id,
    status: answer.status,
    createdAt: answer.creation_timestamp,
    ...(answer.status_message === "" ? {} : { statusMessage: answer.status_message }),
    tags: new Map(answer.tags.map(({ key, value }) => [key, value])),
  };
}
