import * as z from "zod";
import { isAboutVersion, orDoesNotExist } from "./absence";
import { MlflowError } from "./errors";
import { pagesOf } from "./pages";
import { parse } from "./parse";
import type { MlflowCall, MlflowTransport } from "./transport";

/** Most registered models that MLflow gives in one page (SEARCH_REGISTERED_MODEL_MAX_RESULTS_THRESHOLD). */
const PAGE_SIZE = 1000;

const modelSchema = z.object({
  name: z.string().min(1),
  tags: z.array(z.object({ key: z.string(), value: z.string().default("") })).default([]),
  aliases: z
    .array(z.object({ alias: z.string(), version: z.union([z.string(), z.number().int().transform(String)]) }))
    .default([]),
});

const modelAnswer = z.object({ registered_model: modelSchema });
const searchAnswer = z.object({
  registered_models: z.array(modelSchema).default([]),
  next_page_token: z.string().optional(),
});

/** A registered model as MLflow tells it. */
export interface RegisteredModel {
  readonly name: string;
  readonly tags: ReadonlyMap<string, string>;
  /** The version that each alias is on. */
  readonly aliases: ReadonlyMap<string, string>;
}

/** What the module reads about registered models. Every method throws {@link MlflowError} when there is no answer to rely on. */
export interface RegisteredModelReader {
  /** undefined is a positive answer: MLflow says that the model does not exist. */
  readonly getModel: (name: string) => Promise<RegisteredModel | undefined>;
  /** All models whose tag `tagKey` is `true` in any case, or an error: never a part of them. */
  readonly searchTaggedModels: (tagKey: string) => Promise<RegisteredModel[]>;
}

export function createRegisteredModelReader(transport: MlflowTransport): RegisteredModelReader {
  return {
    async getModel(name) {
      const call: MlflowCall = { method: "GET", path: "registered-models/get", query: { name } };
      const answer = await orDoesNotExist(transport(call), isAboutVersion);
      if (answer === undefined) return undefined;
      const model = registeredModelOf(parse(modelAnswer, answer, call).registered_model);
      if (model.name !== name)
        throw new MlflowError("unexpected", `${call.path} was answered with another model than the one asked for`);
      return model;
    },

    async searchTaggedModels(tagKey) {
      const found = new Map<string, RegisteredModel>();
      const callFor = (token?: string): MlflowCall => ({
        method: "GET",
        path: "registered-models/search",
        query: {
          filter: `tag.\`${tagKey}\` ILIKE 'true'`,
          max_results: String(PAGE_SIZE),
          ...(token === undefined ? {} : { page_token: token }),
        },
      });
      for await (const page of pagesOf(callFor, transport, searchAnswer)) {
        for (const model of page.registered_models.map(registeredModelOf)) found.set(model.name, model);
      }
      return [...found.values()];
    },
  };
}

function registeredModelOf({ name, tags, aliases }: z.output<typeof modelSchema>): RegisteredModel {
  return {
    name,
    tags: new Map(tags.map(({ key, value }) => [key, value])),
    aliases: new Map(aliases.map(({ alias, version }) => [alias, version])),
  };
}
