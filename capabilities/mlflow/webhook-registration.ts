import { z } from "zod";
import { parse } from "./client";
import { MlflowError } from "./errors";
import type { MlflowCall, MlflowTransport } from "./transport";

const webhookSchema = z.object({
  webhook_id: z.string().min(1),
  name: z.string(),
  url: z.string(),
  status: z.string().default("ACTIVE"),
  creation_timestamp: z.coerce.number().default(0),
  events: z.array(z.object({ entity: z.string(), action: z.string() })).default([]),
});
const listAnswer = z.object({ webhooks: z.array(webhookSchema).default([]), next_page_token: z.string().optional() });
const webhookAnswer = z.object({ webhook: webhookSchema });

/** 10,000 webhooks; a list with more pages is going in circles. */
const MAXIMUM_PAGES = 100;

type RegisteredWebhook = z.output<typeof webhookSchema>;

/** The events that wake the module, as MLflow's webhook API names them. */
const EVENTS = [
  { entity: "MODEL_VERSION_TAG", action: "SET" },
  { entity: "MODEL_VERSION_TAG", action: "DELETED" },
] as const;

export interface WebhookRegistration {
  readonly name: string;
  readonly url: string;
  readonly secret: string;
}

/**
 * Makes MLflow hold exactly one webhook of this name with this URL, secret and our events: creates it, updates it, and
 * deletes further ones of the same name and URL (MLflow does not keep names unique, so replicas that start together may
 * each create one). The oldest stays, so all replicas choose the same. MLflow never shows a secret, so it is always set.
 *
 * @returns the id of the webhook, and what was done
 * @throws MlflowError when MLflow refuses or cannot be reached
 */
export async function registerWebhook(
  transport: MlflowTransport,
  registration: WebhookRegistration,
): Promise<{ id: string; action: "created" | "updated" }> {
  const { name, url, secret } = registration;
  const settings = { name, url, secret, events: EVENTS, status: "ACTIVE" };
  const [existing, ...duplicates] = await webhooksNamed(transport, name);
  if (existing === undefined) {
    const call: MlflowCall = { method: "POST", path: "webhooks", body: settings };
    const created = parse(webhookAnswer, await transport(call), call);
    return { id: created.webhook.webhook_id, action: "created" };
  }
  await transport({ method: "PATCH", path: `webhooks/${encodeURIComponent(existing.webhook_id)}`, body: settings });
  for (const duplicate of duplicates.filter(webhook => webhook.url === url)) {
    await transport({ method: "DELETE", path: `webhooks/${encodeURIComponent(duplicate.webhook_id)}` });
  }
  return { id: existing.webhook_id, action: "updated" };
}

/** Oldest first; all of them or an error, since one that is not seen would be made a second time. */
async function webhooksNamed(transport: MlflowTransport, name: string): Promise<RegisteredWebhook[]> {
  const found: RegisteredWebhook[] = [];
  const seenTokens = new Set<string>();
  let pageToken: string | undefined;
  do {
    const query = { max_results: "100", ...(pageToken === undefined ? {} : { page_token: pageToken }) };
    const call: MlflowCall = { method: "GET", path: "webhooks", query };
    const page = parse(listAnswer, await transport(call), call);
    found.push(...page.webhooks.filter(webhook => webhook.name === name));
    pageToken = page.next_page_token;
    if (pageToken && (seenTokens.has(pageToken) || seenTokens.size >= MAXIMUM_PAGES)) {
      throw new MlflowError("unexpected", "the list of webhooks never came to a last page");
    }
    seenTokens.add(pageToken ?? "");
  } while (pageToken);
  return found.sort(
    (one, other) => one.creation_timestamp - other.creation_timestamp || (one.webhook_id < other.webhook_id ? -1 : 1),
  );
}
