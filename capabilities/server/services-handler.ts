import { KubernetesError } from "../kubernetes/api-server";
import { keyOf } from "../kserve/identity";
import type { InferenceServices } from "../kserve/inference-services";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import { managementOf } from "../kserve/management";
import { messageOf } from "../observability/logging";
import type { VersionState } from "../status/published";
import { foreignText } from "../support/foreign-text";
import { busyAnswer, errorAnswer } from "./answers";
import type { RenderedAnswer } from "./answers";
import type { Handler } from "./http-server";
import { createSharedReads } from "./shared-reads";

const DEFAULT_LIMIT = 100;
const MAXIMUM_LIMIT = 500;

/** Characters; the API server's are some hundreds. */
const MAXIMUM_CONTINUE_LENGTH = 4096;

/**
 * Different pages that are read from the API server at once. Anybody who reaches the endpoint may ask for them, and must
 * not be able to keep the API server from the deliveries' Applies, nor this process from them.
 */
const MAXIMUM_READS = 2;

/**
 * A page is given out again for so many times as long as it took to make. However often it is asked for, no more than a
 * small part of this process's time goes into it; and who asks now and then gets it as it is.
 */
const REUSE_FACTOR = 10;

/** Milliseconds that a page is given out again at the most. */
const MAXIMUM_REUSE = 1_000;

/** Pages that are kept for that. */
const MAXIMUM_PAGES = 8;

/** Seconds after which to ask again when too many pages are being read. */
const BUSY_RETRY_AFTER = 1;

/**
 * `GET /services`: the module's InferenceServices, page by page. Who asks for a page that is being read, or was a moment
 * ago, gets the same bytes.
 *
 * @param stateOf the state of the version that a service is of
 */
export function createServicesHandler(
  services: Pick<InferenceServices, "listPage">,
  stateOf: (live: LiveInferenceService) => VersionState,
): Handler {
  const pages = createSharedReads<RenderedAnswer>({
    maximumReads: MAXIMUM_READS,
    reuse: took => Math.min(took * REUSE_FACTOR, MAXIMUM_REUSE),
    capacity: MAXIMUM_PAGES,
  });

  const render = async (limit: number, next: string | undefined): Promise<RenderedAnswer> => {
    const page = await services.listPage(limit, next);
    const following = page.next === undefined ? {} : { continue: page.next };
    return {
      status: 200,
      json: Buffer.from(
        JSON.stringify({ services: page.items.map(live => describeService(live, stateOf(live))), ...following }),
      ),
    };
  };

  return async ({ query }) => {
    const page = parsePage(query);
    if ("problem" in page) return errorAnswer(400, page.problem);
    try {
      const reading = pages.read(`${page.limit} ${page.next ?? ""}`, () => render(page.limit, page.next));
      if (reading === undefined)
        return busyAnswer(503, `${MAXIMUM_READS} pages are being read already; try again`, BUSY_RETRY_AFTER);
      return await reading;
    } catch (error) {
      // Only a page that is named can be refused so.
      if (page.next !== undefined && error instanceof KubernetesError) {
        if (error.status === 400) return errorAnswer(400, `continue: ${error.message}`);
        if (error.status === 410) return errorAnswer(410, "continue: too old; begin again without it");
      }
      return errorAnswer(500, foreignText(messageOf(error)));
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

function describeService(live: LiveInferenceService, state: VersionState): Record<string, unknown> {
  const { name, namespace } = live.metadata;
  const key = keyOf(live.metadata);
  const management = managementOf(live.metadata);
  return {
    name,
    namespace,
    model_name: key?.model,
    model_version: key?.version,
    status: state.word,
    url: state.url,
    // In whole seconds, as Kubernetes has its times.
    since: new Date(state.since ?? Date.parse(live.metadata.creationTimestamp)).toISOString().replace(/\.\d+Z$/, "Z"),
    message: state.cause,
    ...(management === "managed" ? {} : { management }),
  };
}
