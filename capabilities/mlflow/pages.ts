import type * as z from "zod";
import { MlflowError } from "./errors";
import { parse } from "./parse";
import type { MlflowCall, MlflowTransport } from "./transport";

/** A search with more pages than this is going in circles: 10 million entries. */
const MAXIMUM_PAGES = 10_000;

/**
 * Goes through all pages of a search.
 *
 * @param callFor the call for the page that a token stands for; for the first one without
 * @throws MlflowError when a page cannot be had, or there is no last one
 */
export async function* pagesOf<Page extends { readonly next_page_token?: string | undefined }>(
  callFor: (pageToken?: string) => MlflowCall,
  transport: MlflowTransport,
  schema: z.ZodType<Page>,
): AsyncGenerator<Page> {
  const seenTokens = new Set<string>();
  let call = callFor();
  for (let count = 0; count < MAXIMUM_PAGES; count++) {
    const page = parse(schema, await transport(call), call);
    yield page;
    const { next_page_token: token } = page;
    if (!token) return;
    if (seenTokens.has(token)) break;
    seenTokens.add(token);
    call = callFor(token);
  }
  throw new MlflowError("unexpected", `${call.path} never came to a last page`);
}
