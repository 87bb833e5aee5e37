import type * as z from "zod";
import { KubernetesError } from "./api-server";
import type { ApiServer } from "./api-server";

/** Objects in one page of a list; keeps a list of many from being one huge answer. */
export const LIST_PAGE_SIZE = 500;

/** Which object, and which state of it; the API server refuses a write that names another. */
export interface ObjectIdentity {
  readonly uid: string;
  readonly resourceVersion: string;
}

/** A part of all objects that a list is about. */
export interface ObjectPage<T> {
  readonly items: readonly T[];
  /** Names the next page for some minutes; undefined on the last. */
  readonly next: string | undefined;
}

/** All pages of a list, one after the other, with at most `limit` objects each. @throws what a page's request throws */
export async function* pagesOf<T>(
  listPage: (limit: number, next?: string) => Promise<ObjectPage<T>>,
  limit: number,
): AsyncGenerator<readonly T[], void> {
  let next: string | undefined;
  do {
    const page = await listPage(limit, next);
    yield page.items;
    next = page.next;
  } while (next !== undefined);
}

/**
 * @param cure what to check
 * @throws KubernetesError when the API server's answer has not the form
 */
export function parseObject<T>(schema: z.ZodType<T>, body: unknown, cure: string): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.map(String).join(".")}: ${message}`);
  throw new KubernetesError(
    0,
    "UnknownForm",
    `The Kubernetes API server answered in an unknown form (${problems.join("; ")}); ${cure}`,
  );
}

/** The object itself is not there; a missing namespace or CRD is something else. */
function isNotFound(error: unknown, name: string): boolean {
  return error instanceof KubernetesError && error.status === 404 && error.about.name === name;
}

/** What a request tells of one object; undefined where it {@link isNotFound}. @throws what else the request throws */
export async function orNotFound<T>(name: string, reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isNotFound(error, name)) return undefined;
    throw error;
  }
}

/**
 * Deletes exactly the object that was read. Gone already is success.
 *
 * @throws KubernetesError Conflict when it changed since
 */
export async function deleteExactly(
  apiServer: ApiServer,
  path: string,
  { name, uid, resourceVersion }: ObjectIdentity & { readonly name: string },
): Promise<void> {
  const body = {
    apiVersion: "v1",
    kind: "DeleteOptions",
    preconditions: { uid, resourceVersion },
    propagationPolicy: "Background",
  };
  await orNotFound(name, apiServer({ method: "DELETE", path, body }));
}
