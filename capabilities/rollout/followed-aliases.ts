import { setImmediate as oneMoment } from "node:timers/promises";
import type { MlflowReader, ModelVersion } from "../mlflow/client";
import { deploys } from "../mlflow/deploy-tag";
import { MlflowError } from "../mlflow/errors";
import type { RegisteredModel, RegisteredModelReader } from "../mlflow/registered-models";
import type { Log } from "../observability/logging";
import { inParallel } from "../support/in-parallel";
import { eachOnce, formatKey } from "../support/model-version-key";
import type { ModelVersionKey } from "../support/model-version-key";

/** Versions that MLflow is asked about at the same time: many, since one search answers many of them. */
const CONCURRENCY = 256;

/** Finds the versions that models want by their aliases: models that have the deploy tag themselves. */
export interface FollowedAliases {
  /**
   * A version with what its model says about it. One with a deploy tag of its own speaks for itself: `true` deploys it, and
   * anything else is a veto, whatever its aliases.
   *
   * @throws MlflowError when MLflow does not tell about the model, or says that there is none
   */
  readonly mark: (version: ModelVersion) => Promise<ModelVersion>;
  /** The versions of a model that it wants by an alias. @throws MlflowError when MLflow does not tell */
  readonly ofModel: (model: string) => Promise<ModelVersion[]>;
  /**
   * Those of all models, or an error; without those that MLflow does not let the module read, which is told once.
   *
   * @throws MlflowError
   */
  readonly ofAll: () => Promise<ModelVersion[]>;
}

export interface FollowedAliasesOptions {
  readonly models: RegisteredModelReader;
  readonly mlflow: Pick<MlflowReader, "getModelVersion">;
  readonly deployTagKey: string;
  /** The aliases that are followed. */
  readonly aliases: readonly string[];
  readonly log: Log;
}

export function createFollowedAliases(options: FollowedAliasesOptions): FollowedAliases {
  const { models, mlflow, deployTagKey, aliases, log } = options;
  /** Reads that begin in a moment, for all who ask for the same model until then: no answer is older than a question. */
  const beginning = new Map<string, Promise<RegisteredModel | undefined>>();
  let told: string | undefined;

  const readModel = (name: string): Promise<RegisteredModel | undefined> => {
    const known = beginning.get(name);
    if (known !== undefined) return known;
    const reading = oneMoment().then(() => {
      beginning.delete(name);
      return models.getModel(name);
    });
    beginning.set(name, reading);
    return reading;
  };

  /**
   * Notes what may not be read, where that is asked for; of it, nobody says that it is to go either: each service is asked about
   * by itself before that.
   */
  const orUnread = async <T>(
    unread: string[] | undefined,
    what: string,
    reading: Promise<T>,
    instead: T,
  ): Promise<T> => {
    try {
      return await reading;
    } catch (error) {
      const isAnswer = error instanceof MlflowError && (error.kind === "unauthorized" || error.kind === "refused");
      if (!isAnswer || unread === undefined) throw error;
      unread.push(`${what}: ${error.message}`);
      return instead;
    }
  };
  const tell = (unread: readonly string[]): void => {
    const [cause] = [...unread].sort();
    if (cause !== undefined && cause !== told)
      log.warn(
        { cause, count: unread.length },
        "What models want by their aliases cannot all be read; the rest is served",
      );
    told = cause;
  };

  const versionsOf = async (wanted: readonly Wanted[], unread?: string[]): Promise<ModelVersion[]> => {
    // One search answers for many models, when it is for the same few numbers.
    const inOrder = [...wanted].sort((one, other) => Number(one.key.version) - Number(other.key.version));
    const versions = await inParallel(inOrder, CONCURRENCY, async ({ key, alias }) => {
      const version = await orUnread(unread, formatKey(key), mlflow.getModelVersion(key), undefined);
      return version === undefined || version.tags.has(deployTagKey) ? undefined : { ...version, modelWish: { alias } };
    });
    return versions.filter(version => version !== undefined);
  };

  return {
    async mark(version) {
      if (version.tags.has(deployTagKey)) return version;
      const model = await readModel(version.model);
      // Deleted this very moment, or the address leads to another MLflow now and then: neither says what the model wants.
      if (model === undefined)
        throw new MlflowError(
          "unexpected",
          `MLflow has a version of ${JSON.stringify(version.model)}, and no such model`,
        );
      const wanted = wantedBy(model, aliases, deployTagKey);
      if (wanted === undefined) return version;
      return { ...version, modelWish: { alias: wanted.get(formatKey(version))?.alias } };
    },
    async ofModel(name) {
      const wanted = wantedBy(await readModel(name), aliases, deployTagKey);
      return wanted === undefined ? [] : await versionsOf([...wanted.values()]);
    },
    async ofAll() {
      const unread: string[] = [];
      const tagged = await orUnread(unread, "registered models", models.searchTaggedModels(deployTagKey), []);
      const wanted = tagged.flatMap(model => [...(wantedBy(model, aliases, deployTagKey)?.values() ?? [])]);
      const versions = await versionsOf(wanted, unread);
      tell(unread);
      return versions;
    },
  };
}

/** A version that a model wants, and by which alias: of several the first one that is followed. */
interface Wanted {
  readonly key: ModelVersionKey;
  readonly alias: string;
}

/** The versions that a model wants, by {@link formatKey}; undefined for one that has not the deploy tag. */
function wantedBy(
  model: RegisteredModel | undefined,
  followed: readonly string[],
  deployTagKey: string,
): ReadonlyMap<string, Wanted> | undefined {
  if (model === undefined || !deploys(model.tags.get(deployTagKey))) return undefined;
  const wanted = new Map<string, Wanted>();
  for (const alias of followed) {
    const version = model.aliases.get(alias);
    if (version === undefined) continue;
    const key = { model: model.name, version };
    if (!wanted.has(formatKey(key))) wanted.set(formatKey(key), { key, alias });
  }
  return wanted;
}

/** A reader whose versions know the alias by which their models want them, and whose search finds these too. */
export function followingReader(reader: MlflowReader, followed: FollowedAliases): MlflowReader {
  return {
    ...reader,
    async getModelVersion(key) {
      const version = await reader.getModelVersion(key);
      return version && (await followed.mark(version));
    },
    async searchTagged(tagKey) {
      const [tagged, wanted] = await Promise.all([reader.searchTagged(tagKey), followed.ofAll()]);
      return eachOnce([...tagged, ...wanted]);
    },
  };
}
