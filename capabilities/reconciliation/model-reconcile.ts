import { keyOf } from "../kserve/identity";
import type { InferenceServices } from "../kserve/inference-services";
import { formatKey } from "../support/model-version-key";
import type { ModelVersionKey } from "../support/model-version-key";
import type { Outcome } from "./reconciler";

/**
 * Reconciles all versions of a model that have a service, and one beside: what an alias was moved away from, the event does
 * not say.
 *
 * @param version the one that an alias was set on, if any
 * @returns what was done about that one, else about the first of which anything was changed; undefined when there is none
 * @throws what failed about that one, else the first that failed, after all have come to their end. What fails about others
 *   than that one is told where each is told of, and is no answer to the event
 */
export async function reconcileModel(
  services: Pick<InferenceServices, "ofModel">,
  reconcile: (key: ModelVersionKey) => Promise<Outcome>,
  model: string,
  version: string | undefined,
): Promise<Outcome | undefined> {
  const keys = new Map<string, ModelVersionKey>();
  const add = (key: ModelVersionKey): void => void keys.set(formatKey(key), key);
  if (version !== undefined) add({ model, version });
  for (const { metadata } of await services.ofModel(model)) {
    const key = keyOf(metadata);
    if (key?.model === model) add(key);
  }
  const ends = await Promise.allSettled([...keys.values()].map(reconcile));
  const outcomes = (version === undefined ? ends : ends.slice(0, 1)).map(end => {
    if (end.status === "rejected") throw end.reason;
    return end.value;
  });
  return outcomes.find(({ action }) => action === "deleted" || action === "held") ?? outcomes[0];
}
