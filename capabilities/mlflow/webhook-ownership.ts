import type { RegisteredWebhook } from "./webhook-answers";

/** The example that a test delivery carries: left to itself MLflow takes any of the events. */
export const TESTED_EVENT = { entity: "MODEL_VERSION_TAG", action: "SET" } as const;

/**
 * The events that MLflow sends us, as its webhook API names them. Tags given at the registration of a version come with
 * its creation alone.
 */
export const EVENTS = [
  TESTED_EVENT,
  { entity: "MODEL_VERSION_TAG", action: "DELETED" },
  { entity: "MODEL_VERSION", action: "CREATED" },
  { entity: "MODEL_VERSION_ALIAS", action: "CREATED" },
  { entity: "MODEL_VERSION_ALIAS", action: "DELETED" },
] as const;

/** What makes a webhook this installation's, and where it should lead. */
export interface WebhookIdentity {
  readonly name: string;
  readonly url: string;
  /** Tells installations apart that share an MLflow; the same for all replicas and restarts of one. No white space. */
  readonly installation: string;
}

/** MLflow's only field of a webhook that is free text. */
export function descriptionFor(installation: string): string {
  return `Kept by mlflow-kserve, installation=${installation} (what is changed here is restored)`;
}

/** The installation that a webhook belongs to; undefined when none is written in its description. */
function installationOf({ description }: RegisteredWebhook): string | undefined {
  return /\bmlflow-kserve, installation=(\S+)/.exec(description)?.[1];
}

/**
 * The webhooks of this installation, whatever their name and URL were changed to: the one with our URL first, then the
 * oldest first. One without any installation, with our name and our URL, is what a former release made.
 */
export function ownOf(all: readonly RegisteredWebhook[], identity: WebhookIdentity): RegisteredWebhook[] {
  const { url } = identity;
  return all
    .filter(webhook => isOwn(webhook, identity))
    .sort(
      (one, other) =>
        Number(other.url === url) - Number(one.url === url) ||
        one.creation_timestamp - other.creation_timestamp ||
        (one.webhook_id < other.webhook_id ? -1 : 1),
    );
}

/** Webhooks that others made, and that a person may take for ours. */
export function strangersTo(all: readonly RegisteredWebhook[], identity: WebhookIdentity): RegisteredWebhook[] {
  const { name, url } = identity;
  return all.filter(webhook => !isOwn(webhook, identity) && (webhook.name === name || webhook.url === url));
}

function isOwn(webhook: RegisteredWebhook, { name, url, installation }: WebhookIdentity): boolean {
  const owner = installationOf(webhook);
  return owner === undefined ? webhook.name === name && webhook.url === url : owner === installation;
}

/**
 * What is not as it should be on our webhook, in words; empty when all is.
 *
 * @param own all webhooks of this installation
 * @param id the one that is ours
 */
export function changesOf(own: readonly RegisteredWebhook[], id: string, identity: WebhookIdentity): string[] {
  const webhook = own.find(({ webhook_id }) => webhook_id === id);
  if (webhook === undefined) return [own.length === 0 ? "deleted" : "replaced by another"];
  const changes: string[] = [];
  if (webhook.status !== "ACTIVE") changes.push("disabled");
  if (webhook.name !== identity.name) changes.push("given another name");
  if (webhook.url !== identity.url) changes.push("given another URL");
  if (eventsIn(webhook.events) !== eventsIn(EVENTS)) changes.push("given other events");
  if (installationOf(webhook) === undefined) changes.push("given another description");
  if (own.length > 1) changes.push("duplicated");
  return changes;
}

function eventsIn(events: readonly { readonly entity: string; readonly action: string }[]): string {
  return events
    .map(({ entity, action }) => `${entity}.${action}`)
    .sort()
    .join();
}
