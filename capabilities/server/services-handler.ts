import { KubernetesError } from "../kubernetes/api-server";
import { keyOf } from "../kserve/identity";
import type { InferenceServicePage, InferenceServices } from "../kserve/inference-services";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import { managementOf } from "../kserve/management";
import { causeOf, conditionOf, stateOf } from "../kserve/service-state";
import { messageOf } from "../observability/logging";
import { busyAnswer, errorAnswer } from "./answers";
import type { Handler } from "./http-server";

const DEFAULT_LIMIT = 100;
const MAXIMUM_LIMIT = 500;

/** Characters; the API server's are some hundreds. */
const MAXIMUM_CONTINUE_LENGTH = 4096;

/**
 * Different pages that are read from the API server at once. Anybody who reaches the endpoint may ask for them, and must
 * not be able to keep the API server from the deliveries' Applies.
 */
const MAXIMUM_READS = 8;

/** Seconds after which to ask again when too many pages are being read. */
const BUSY_RETRY_AFTER = 1;

/** `GET /services`: the module's InferenceServices, page by page. Who asks for a page that is being read waits for that. */
export function createServicesHandler(services: InferenceServices): Handler {
  const underWay = new Map<string, Promise<InferenceServicePage>>();

  const read = (limit: number, next: string | undefined): Promise<InferenceServicePage> | undefined => {
    const name = `${limit} ${next ?? ""}`;
    const known = underWay.get(name);
    if (known !== undefined) return known;
    if (underWay.size >= MAXIMUM_READS) return undefined;
    const reading = services.listPage(limit, next).finally(() => underWay.delete(name));
    underWay.set(name, reading);
    return reading;
  };

  return async ({ query }) => {
    const page = parsePage(query);
    if ("problem" in page) return errorAnswer(400, page.problem);
    try {
      const reading = read(page.limit, page.next);
      if (reading === undefined)
        return busyAnswer(503, `${MAXIMUM_READS} pages are being read already; try again`, BUSY_RETRY_AFTER);
      const { items, next } = await reading;
      const body = { services: items.map(describeService), ...(next === undefined ? {} : { continue: next }) };
      return { status: 200, body };
    } catch (error) {
      // Only a page that is named can be refused so.
      if (page.next !== undefined && error instanceof KubernetesError) {
        if (error.status === 400) return errorAnswer(400, `continue: ${error.message}`);
        if (error.status === 410) return errorAnswer(410, "continue: too old; begin again without it");
      }
      return errorAnswer(500, messageOf(error));
    }
  };
}

type Page = { readonly limit: number; readonly next: string | undefined } | { readonly problem: string };

function parsePage(query: URLSearchParams): Page {
  for (const name of query.keys()) {
    if (name !== "limit" && name !== "continue") return { problem: "the parameters are limit and continue" };
    if (query.getAll(name).length > 1) return { problem: `${name}: must be given once` };
  }
  const limit = query.get("limit") ?? String(DEFAULT_LIMIT);
  if (!/^[1-9]\d{0,2}$/.test(limit) || Number(limit) > MAXIMUM_LIMIT)
    return { problem: `limit: must be a whole number from 1 to ${MAXIMUM_LIMIT}` };
  const next = query.get("continue") ?? undefined;
  if (next === "" || (next?.length ?? 0) > MAXIMUM_CONTINUE_LENGTH)
    return { problem: "continue: must be as the page before gave it" };
  return { limit: Number(limit), next };
}

function describeService(live: LiveInferenceService): Record<string, unknown> {
  const { name, namespace, creationTimestamp, deletionTimestamp } = live.metadata;
  const key = keyOf(live.metadata);
  const ready = conditionOf(live, "Ready");
  const management = managementOf(live.metadata);
  const decided = ready?.lastTransitionTime ?? "";
  return {
    name,
    namespace,
    model_name: key?.model,
    model_version: key?.version,
    status: stateOf(live),
    url: live.status.url,
    since: deletionTimestamp ?? (decided === "" ? creationTimestamp : decided),
    message: causeOf(live),
    ...(management === "managed" ? {} : { management }),
  };
}
