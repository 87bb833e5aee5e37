import type { BareClient } from "./bare-client";
import { SECRET } from "./module-under-test";
import { signedDelivery } from "./signed-delivery";

/**
 * Delivers that the tag of a model's one version was set.
 *
 * @param action what is to be done about it, where that matters
 * @throws Error when it is not answered as it should be
 */
export async function deliver(endpoint: BareClient, model: string, action?: string): Promise<void> {
  const delivery = signedDelivery({ model, version: "1" }, SECRET);
  const { status, text } = await endpoint.send({ method: "POST", path: "/webhook", ...delivery });
  const done = status === 200 ? (JSON.parse(text) as { readonly action?: string }).action : undefined;
  if (done === undefined || (action !== undefined && done !== action))
    throw new Error(`A delivery about ${model} was answered ${status}: ${text}`);
}
