import { withoutCredentials } from "../configuration/settings";
import type { Log } from "../observability/logging";
import type { RegisteredWebhook } from "./webhook-answers";

/**
 * Tells of others' webhooks with our name or URL, once each: others may have good reasons, and what a former installation
 * left behind is for a person to remove.
 */
export function createStrangerTeller(
  url: string,
  fields: Readonly<Record<string, unknown>>,
  log: Log,
): (strangers: readonly RegisteredWebhook[]) => void {
  const told = new Set<string>();
  return strangers => {
    for (const { webhook_id: id, url: theirs } of strangers) {
      if (told.has(id)) continue;
      told.add(id);
      const about = { ...fields, id, leads_to: withoutCredentials(theirs) };
      if (theirs === url) {
        const cure = "if its installation is gone, delete it in MLflow: its deliveries come here as well";
        log.warn({ ...about, cure }, "Another installation's webhook has the same URL, it is left alone");
      } else log.info(about, "Another webhook of the same name is left alone");
    }
  };
}
