import { parse } from "./parse";
import { MlflowError } from "./errors";
import type { MlflowCall, MlflowTransport } from "./transport";
import { deliveryTestAnswer, webhookAnswer, webhookListAnswer } from "./webhook-answers";
import type { DeliveryTest, RegisteredWebhook } from "./webhook-answers";
import { changesOf, descriptionFor, EVENTS, ownOf, strangersTo, TESTED_EVENT } from "./webhook-ownership";
import type { WebhookIdentity } from "./webhook-ownership";

/** 10,000 webhooks; a list with more pages is going in circles. */
const MAXIMUM_PAGES = 100;

/** How often a registration begins anew because another replica deleted the webhook under it. */
const MAXIMUM_ROUNDS = 3;

export interface WebhookRegistration extends WebhookIdentity {
  readonly secret: string;
}

export interface RegistrationOptions {
  /** Told of a webhook that was made, also when what follows fails and it should be removed again. */
  readonly onCreated?: (id: string) => void;
  /** Whether the secret is set again on a webhook that is otherwise as it should be; MLflow shows none. */
  readonly renewSecret?: boolean;
}

export interface Registered {
  readonly id: string;
  readonly action: "created" | "updated" | "unchanged";
  /** When it was last changed before this registration, in Unix milliseconds of MLflow's clock; 0 if unknown. */
  readonly changedAt: number;
  /** Webhooks of others that have the same name or URL. They were left alone. */
  readonly strangers: readonly RegisteredWebhook[];
}

/**
 * Makes MLflow hold exactly one webhook of this installation, with this name, URL, secret and our events: creates it,
 * updates it, and deletes further ones of the installation's own (replicas that start together may each create one). All
 * replicas choose the same one to stay. A webhook of somebody else is never touched, whatever its name and URL.
 *
 * @throws MlflowError when MLflow refuses or cannot be reached
 */
export async function registerWebhook(
  transport: MlflowTransport,
  registration: WebhookRegistration,
  options: RegistrationOptions = {},
): Promise<Registered> {
  for (let round = 1; ; round++) {
    try {
      return await registerOnce(transport, registration, options);
    } catch (error) {
      if (round >= MAXIMUM_ROUNDS || !isGone(error)) throw error;
    }
  }
}

async function registerOnce(
  transport: MlflowTransport,
  registration: WebhookRegistration,
  { onCreated, renewSecret = true }: RegistrationOptions,
): Promise<Registered> {
  const { name, url, secret } = registration;
  const description = descriptionFor(registration.installation);
  const settings = { name, description, url, secret, events: EVENTS, status: "ACTIVE" };
  let all = await listWebhooks(transport);
  let created: string | undefined;
  if (ownOf(all, registration).length === 0) {
    const call: MlflowCall = { method: "POST", path: "webhooks", body: settings };
    created = parse(webhookAnswer, await transport(call), call).webhook.webhook_id;
    onCreated?.(created);
    // Other replicas may have done the same since we looked: whoever looks last sees all of them.
    all = await listWebhooks(transport);
  }
  const strangers = strangersTo(all, registration);
  const [kept, ...duplicates] = ownOf(all, registration);
  if (kept === undefined) return { id: created ?? "", action: "created", changedAt: 0, strangers };
  const id = kept.webhook_id;
  const isRight = changesOf([kept], id, registration).length === 0;
  const needsUpdate = id !== created && (renewSecret || !isRight);
  if (needsUpdate) await transport({ method: "PATCH", path: pathOf(id), body: settings });
  for (const duplicate of duplicates) await removeWebhook(transport, duplicate.webhook_id);
  const action = created === undefined ? (needsUpdate ? "updated" : "unchanged") : "created";
  return { id, action, changedAt: kept.last_updated_timestamp, strangers };
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
  return parse(deliveryTestAnswer, await transport(call), call).result;
}

/**
 * All webhooks that MLflow holds, anybody's. All of them or an error, since one that is not seen would be made a second
 * time.
 *
 * @throws MlflowError
 */
export async function listWebhooks(transport: MlflowTransport): Promise<RegisteredWebhook[]> {
  const found: RegisteredWebhook[] = [];
  const seenTokens = new Set<string>();
  let pageToken: string | undefined;
  do {
    const query = { max_results: "100", ...(pageToken === undefined ? {} : { page_token: pageToken }) };
    const call: MlflowCall = { method: "GET", path: "webhooks", query };
    const page = parse(webhookListAnswer, await transport(call), call);
    found.push(...page.webhooks);
    pageToken = page.next_page_token;
    if (pageToken && (seenTokens.has(pageToken) || seenTokens.size >= MAXIMUM_PAGES)) {
      throw new MlflowError("unexpected", "the list of webhooks never came to a last page");
    }
    seenTokens.add(pageToken ?? "");
  } while (pageToken);
  return found;
}

function pathOf(id: string): string {
  return `webhooks/${encodeURIComponent(id)}`;
}

function isGone(error: unknown): boolean {
  return error instanceof MlflowError && error.kind === "refused" && error.code === "RESOURCE_DOES_NOT_EXIST";
}
