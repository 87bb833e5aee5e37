import mustache from "mustache";
import type { IngressConfiguration } from "../kserve/ingress-configuration";
import type { ServiceFacts } from "../kserve/service-facts";
import type { ModelVersionKey } from "../support/model-version-key";

/** Domains that never lead anywhere (RFC 2606); KServe's default is example.com. */
const RESERVED_DOMAIN = /(^|\.)(example(\.(com|net|org))?|invalid)$/i;

/**
 * Where a service that serves answers, for people; undefined when it does not serve, or nobody knows where.
 *
 * @param choice the setting SERVING_URL: `external` or `internal` for KServe's addresses; `auto` for the external one where
 *   KServe makes ingresses in a domain that there is, else the internal one; anything else is a URL with variables
 * @param ingress KServe's configuration; undefined when it is not known
 */
export function servingUrl(
  choice: string,
  { name, urls }: Pick<ServiceFacts, "name" | "urls">,
  subject: { readonly key: ModelVersionKey; readonly namespace: string },
  ingress: IngressConfiguration | undefined,
): string | undefined {
  if (urls === undefined) return undefined;
  switch (choice) {
    case "external":
      return urls.external;
    case "internal":
      return urls.internal;
    case "auto":
      return leadsSomewhere(urls.external, ingress) ? urls.external : urls.internal;
    default: {
      const { key, namespace } = subject;
      const view = { name, namespace, model_name: key.model, model_version: key.version };
      return mustache.render(choice, view, {}, { escape: urlPart });
    }
  }
}

/** Without KServe's configuration there is nothing to rely on: KServe tells an address also where no ingress is made. */
function leadsSomewhere(url: string | undefined, ingress: IngressConfiguration | undefined): boolean {
  if (url === undefined || ingress === undefined || !URL.canParse(url)) return false;
  return !ingress.disableIngressCreation && !RESERVED_DOMAIN.test(new URL(url).hostname);
}

/** A lone surrogate has no form in a URL. */
function urlPart(text: string): string {
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, "\uFFFD"));
}
