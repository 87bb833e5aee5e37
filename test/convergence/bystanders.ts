import { inferenceServiceName } from "../../capabilities/kserve/names";
import type { ModelVersionKey } from "../../capabilities/support/model-version-key";
import { openRegistry } from "../support/mlflow-registry";
import { waitFor } from "../support/waiting";

/** How many there are: more than a small page of MLflow's search holds. */
const BYSTANDERS = 4;

/**
 * Tagged versions that nobody touches. Whatever goes wrong around them, their services must stay the very same objects:
 * one that was deleted and made again looks right in the end, and was down meanwhile.
 */
export interface Bystanders {
  /** Names of their services, for others to keep off. */
  readonly names: ReadonlySet<string>;
  /** Waits until they are served, and remembers by which objects. */
  readonly remember: (readUid: (name: string) => Promise<string | undefined>) => Promise<void>;
  /** Whether the object with this name is the one that was remembered. */
  readonly isSame: (name: string, uid: string | undefined) => boolean;
}

/** Registers and tags them. */
export async function registerBystanders(
  trackingUri: string,
  tagKey: string,
  namespace: string,
): Promise<Bystanders & { readonly model: string }> {
  const registry = openRegistry(trackingUri);
  const model = `bystander ${namespace}`;
  const keys: ModelVersionKey[] = [];
  while (keys.length < BYSTANDERS) keys.push(await registry.register(model, "s3://models/quiet", { [tagKey]: "true" }));
  const names = new Set(keys.map(key => inferenceServiceName(key, namespace)));
  const uids = new Map<string, string>();
  return {
    model,
    names,
    async remember(readUid) {
      for (const name of names) uids.set(name, await waitFor(`the service ${name}`, () => readUid(name), 60_000));
    },
    isSame: (name, uid) => uids.get(name) === uid,
  };
}
