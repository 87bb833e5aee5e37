import { inferenceServiceName } from "../../capabilities/kserve/names";
import type { ModelVersionKey } from "../../capabilities/support/model-version-key";
import { openRegistry } from "../support/mlflow-registry";
import { waitFor } from "../support/waiting";

/** How many versions the model has: more than a small page of MLflow's search holds. */
const VERSIONS = 4;

/** Artifacts of them all. */
export const BYSTANDERS_SOURCE = "s3://models/quiet";

/** Tagged versions that nobody touches, in the registry. */
export interface BystandingModels {
  /** Names of the models. */
  readonly models: readonly string[];
  readonly keys: readonly ModelVersionKey[];
  /** Two of the versions, the one of a model whose name is no label and the one of a model whose name is one. */
  readonly formerly: readonly ModelVersionKey[];
  /** One whose service a person pauses, and one whose service a person takes for good. */
  readonly paused: ModelVersionKey;
  readonly released: ModelVersionKey;
}

/** Their services in one namespace. */
export interface Bystanders {
  /** Names of their services, for others to keep off. */
  readonly names: ReadonlySet<string>;
  /** Waits until they are served, and remembers by which objects. */
  readonly remember: () => Promise<void>;
  /** Names of those that are not by the object that was remembered. */
  readonly replaced: () => Promise<string[]>;
}

/** Registers them, with these tags. @param suffix makes the models' names differ from all others */
export async function registerBystanders(
  trackingUri: string,
  suffix: string,
  tagKeys: readonly string[],
): Promise<BystandingModels> {
  const registry = openRegistry(trackingUri);
  const tags = Object.fromEntries(tagKeys.map(key => [key, "true"]));
  // The second is a label value as it is.
  const models = [`bystander ${suffix}`, `bystander-${suffix}`] as const;
  const keys: ModelVersionKey[] = [];
  while (keys.length < VERSIONS) keys.push(await registry.register(models[0], BYSTANDERS_SOURCE, tags));
  const plain = await registry.register(models[1], BYSTANDERS_SOURCE, tags);
  const paused = await registry.register(models[1], BYSTANDERS_SOURCE, tags);
  const released = await registry.register(models[1], BYSTANDERS_SOURCE, tags);
  return { models, keys: [...keys, plain, paused, released], formerly: [...keys.slice(0, 1), plain], paused, released };
}

/**
 * Watches over the services of versions that nobody touches. Whatever goes wrong around them, they must stay the very same
 * objects: one that was deleted and made again looks right in the end, and was down meanwhile.
 */
export function bystandersIn(
  namespace: string,
  keys: readonly ModelVersionKey[],
  readUid: (name: string) => Promise<string | undefined>,
): Bystanders {
  const names = new Set(keys.map(key => inferenceServiceName(key, namespace)));
  const uids = new Map<string, string>();
  return {
    names,
    async remember() {
      for (const name of names) uids.set(name, await waitFor(`the service ${name}`, () => readUid(name), 60_000));
    },
    async replaced() {
      const found: string[] = [];
      for (const [name, uid] of uids) if ((await readUid(name)) !== uid) found.push(name);
      return found;
    },
  };
}
