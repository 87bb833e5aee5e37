import * as z from "zod";
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
const testAnswer = z.object({
  result: z.object({
    success: z.boolean().default(false),
    response_status: z.number().optional(),
    response_body: z.string().default(""),
    error_message: z.string().default(""),
  }),
});

/** 10,000 webhooks; a list with more pages is going in circles. */
const MAXIMUM_PAGES = 100;

/** How often a registration begins anew because another replica deleted the webhook under it. */
const MAXIMUM_ROUNDS = 3;

/** A webhook as MLflow lists it; its secret is never shown. */
export type RegisteredWebhook = z.output<typeof webhookSchema>;

/** What came of one test delivery that MLflow made: an answer, or why there was none. */
export type DeliveryTest = z.output<typeof testAnswer>["result"];

/** The example that a test delivery carries: left to itself MLflow takes any of the events. */
const TESTED_EVENT = { entity: "MODEL_VERSION_TAG", action: "SET" } as const;

/**
 * The events that MLflow sends us, as its webhook API names them. Tags given at the registration of a version come with
 * its creation alone. Aliases are answered `ignored` for now: an event that is subscribed to later arrives only when
 * every process of MLflow has read its list of webhooks anew.
 */
const EVENTS = [
  TESTED_EVENT,
  { entity: "MODEL_VERSION_TAG", action: "DELETED" },
  { entity: "MODEL_VERSION", action: "CREATED" },
  { entity: "MODEL_VERSION_ALIAS", action: "CREATED" },
  { entity: "MODEL_VERSION_ALIAS", action: "DELETED" },
] as const;

export interface WebhookRegistration {
  readonly name: string;
  readonly url: string;
  readonly secret: string;
}

/**
 * Makes MLflow hold exactly one webhook of this name with this URL, secret and our events: creates it, updates it, and
 * deletes further ones of the same name and URL (MLflow does not keep names unique, so replicas that start together may
 * each create one). All replicas choose the same one to stay. MLflow never shows a secret, so it is always set.
 *
 * @param onCreated told of a webhook that was made, also when what follows fails and it should be removed again
 * @returns the id of the webhook, and what was done
 * @throws MlflowError when MLflow refuses or cannot be reached
 */
export async function registerWebhook(
  transport: MlflowTransport,
  registration: WebhookRegistration,
  onCreated: (id: string) => void = () => undefined,
): Promise<{ id: string; action: "created" | "updated" }> {
  for (let round = 1; ; round++) {
    try {
      return await registerOnce(transport, registration, onCreated);
    } catch (error) {
      if (round >= MAXIMUM_ROUNDS || !isGone(error)) throw error;
    }
  }
}

async function registerOnce(
  transport: MlflowTransport,
  { name, url, secret }: WebhookRegistration,
  onCreated: (id: string) => void,
): Promise<{ id: string; action: "created" | "updated" }> {
  const settings = { name, url, secret, events: EVENTS, status: "ACTIVE" };
  let found = await webhooksOf(transport, { name, url });
  let created: string | undefined;
  if (found.length === 0) {
    const call: MlflowCall = { method: "POST", path: "webhooks", body: settings };
    created = parse(webhookAnswer, await transport(call), call).webhook.webhook_id;
    onCreated(created);
    // Other replicas may have done the same since we looked: whoever looks last sees all of them.
    found = await webhooksOf(transport, { name, url });
  }
  const [kept, ...others] = found;
  if (kept === undefined) return { id: created ?? "", action: "created" };
  if (kept.webhook_id !== created) await transport({ method: "PATCH", path: pathOf(kept.webhook_id), body: settings });
  for (const duplicate of others.filter(webhook => webhook.url === url)) {
    await removeWebhook(transport, duplicate.webhook_id);
  }
  return { id: kept.webhook_id, action: created === undefined ? "updated" : "created" };
}

/**
 * Deletes a webhook; one that is gone already is as good as deleted.
 *
 * @throws MlflowError
 */
export async function removeWebhook(transport: MlflowTransport, id: string): Promise<void> {
  try {
    await transport({ method: "DELETE", path: pathOf(id) });
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/**
 * Has MLflow send an example of an event about a tag to the webhook, signed like any other delivery.
 *
 * @throws MlflowError when MLflow does not do it
 */
export async function testWebhook(transport: MlflowTransport, id: string): Promise<DeliveryTest> {
  const call: MlflowCall = { method: "POST", path: `${pathOf(id)}/test`, body: { event: TESTED_EVENT } };
  return parse(testAnswer, await transport(call), call).result;
}

/**
 * All webhooks of the name: those with our URL first, then the oldest first. All of them or an error, since one that is
 * not seen would be made a second time.
 *
 * @throws MlflowError
 */
export async function webhooksOf(
  transport: MlflowTransport,
  { name, url }: Pick<WebhookRegistration, "name" | "url">,
): Promise<RegisteredWebhook[]> {
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
    (one, other) =>
      Number(other.url === url) - Number(one.url === url) ||
      one.creation_timestamp - other.creation_timestamp ||
      (one.webhook_id < other.webhook_id ? -1 : 1),
  );
}

/** What others changed on our webhook, in words; empty when all is as it should be. */
export function changesOf(found: readonly RegisteredWebhook[], id: string, url: string): string[] {
  const own = found.find(webhook => webhook.webhook_id === id);
  if (own === undefined) return [found.length === 0 ? "deleted" : "replaced by another"];
  const changes: string[] = [];
  if (own.status !== "ACTIVE") changes.push("disabled");
  if (own.url !== url) changes.push("given another URL");
  if (eventsIn(own.events) !== eventsIn(EVENTS)) changes.push("given other events");
  if (found.some(webhook => webhook !== own && webhook.url === url)) changes.push("duplicated");
  return changes;
}

function eventsIn(events: readonly { readonly entity: string; readonly action: string }[]): string {
  return events
    .map(({ entity, action }) => `${entity}.${action}`)
    .sort()
    .join();
}

function pathOf(id: string): string {
  return `webhooks/${encodeURIComponent(id)}`;
}

function isGone(error: unknown): boolean {
  return error instanceof MlflowError && error.code === "RESOURCE_DOES_NOT_EXIST";
}
