import { z } from "zod";
import type { ApiServer } from "./api-server";
import { KubernetesError } from "./api-server";
import { MANAGED_BY, MANAGED_BY_LABEL } from "./identity";
import type { InferenceServiceObject } from "./rendering";

/** Who applies, in `managedFields`. */
export const FIELD_MANAGER = MANAGED_BY;

/** Objects in one page of a list; keeps a list of many services from being one huge answer. */
const LIST_PAGE_SIZE = 500;

const stringMap = z.record(z.string(), z.string());

const managedFieldsEntry = z.object({
  manager: z.string().default(""),
  subresource: z.string().default(""),
  time: z.string().default(""),
  fieldsV1: z.record(z.string(), z.unknown()).default({}),
});

const liveSchema = z.object({
  metadata: z.object({
    name: z.string(),
    namespace: z.string(),
    uid: z.string(),
    resourceVersion: z.string(),
    generation: z.number().default(0),
    creationTimestamp: z.string().default(""),
    deletionTimestamp: z.string().optional(),
    labels: stringMap.default({}),
    annotations: stringMap.default({}),
    managedFields: z.array(managedFieldsEntry).default([]),
  }),
  spec: z.record(z.string(), z.unknown()).default({}),
  status: z
    .object({
      url: z.string().optional(),
      conditions: z
        .array(
          z.object({
            type: z.string(),
            status: z.string(),
            reason: z.string().default(""),
            message: z.string().default(""),
            lastTransitionTime: z.string().default(""),
          }),
        )
        .default([]),
    })
    .default({ conditions: [] }),
});

const listSchema = z.object({
  metadata: z.object({ continue: z.string().optional() }).default({}),
  items: z.array(liveSchema),
});

/** An InferenceService as it is in the cluster. */
export type LiveInferenceService = z.output<typeof liveSchema>;

/** A part of all InferenceServices with our label. */
export interface InferenceServicePage {
  readonly items: readonly LiveInferenceService[];
  /** Names the next page for some minutes; undefined on the last. */
  readonly next: string | undefined;
}

/** The InferenceServices of one namespace. Every method throws {@link KubernetesError}. */
export interface InferenceServices {
  readonly namespace: string;
  get: (name: string) => Promise<LiveInferenceService | undefined>;
  /** All with our label, or an error: never a part of them. */
  listManaged: () => Promise<LiveInferenceService[]>;
  /**
   * One page of those with our label. A `next` that is too old fails with Expired (410), one that never was with
   * BadRequest (400).
   */
  listPage: (limit: number, next?: string) => Promise<InferenceServicePage>;
  /**
   * Server-side apply. With `replaces` (the uid of the object that was read) fields that others changed are taken back,
   * and the request fails when the object is not that one any more; without, it is meant to create, and fails with
   * Conflict rather than take over fields of an object that somebody made in the meantime.
   */
  apply: (object: InferenceServiceObject, replaces?: string) => Promise<LiveInferenceService>;
  /** Deletes exactly the object that was read; fails with Conflict when it changed since. Gone already is success. */
  delete: (live: LiveInferenceService) => Promise<void>;
  /** One cheap request that shows whether the API server answers and lets us read. */
  ping: () => Promise<void>;
}

export function createInferenceServices(apiServer: ApiServer, namespace: string): InferenceServices {
  const collection = `/apis/serving.kserve.io/v1beta1/namespaces/${encodeURIComponent(namespace)}/inferenceservices`;
  const pathOf = (name: string): string => `${collection}/${encodeURIComponent(name)}`;
  const listPage: InferenceServices["listPage"] = async (limit, next) => {
    const query = {
      labelSelector: `${MANAGED_BY_LABEL}=${MANAGED_BY}`,
      limit: String(limit),
      ...(next === undefined ? {} : { continue: next }),
    };
    const page = parse(listSchema, (await apiServer({ method: "GET", path: collection, query })).body);
    const following = page.metadata.continue;
    // The last page's is an empty text.
    return { items: page.items, next: following === "" ? undefined : following };
  };
  return {
    namespace,
    listPage,

    async get(name) {
      try {
        return parse(liveSchema, (await apiServer({ method: "GET", path: pathOf(name) })).body);
      } catch (error) {
        if (isNotFound(error, name)) return undefined;
        throw error;
      }
    },

    async listManaged() {
      const found: LiveInferenceService[] = [];
      let next: string | undefined;
      do {
        const page = await listPage(LIST_PAGE_SIZE, next);
        found.push(...page.items);
        next = page.next;
      } while (next);
      return found;
    },

    async apply(object, replaces) {
      const body = replaces === undefined ? object : { ...object, metadata: { ...object.metadata, uid: replaces } };
      const answer = await apiServer({
        method: "PATCH",
        path: pathOf(object.metadata.name),
        query: {
          fieldManager: FIELD_MANAGER,
          force: replaces === undefined ? "false" : "true",
          fieldValidation: "Strict",
        },
        contentType: "application/apply-patch+yaml",
        body,
      });
      return parse(liveSchema, answer.body);
    },

    async delete(live) {
      const { name, uid, resourceVersion } = live.metadata;
      try {
        await apiServer({
          method: "DELETE",
          path: pathOf(name),
          body: {
            apiVersion: "v1",
            kind: "DeleteOptions",
            preconditions: { uid, resourceVersion },
            propagationPolicy: "Background",
          },
        });
      } catch (error) {
        if (!isNotFound(error, name)) throw error;
      }
    },

    async ping() {
      await apiServer({ method: "GET", path: collection, query: { limit: "1" } });
    },
  };
}

function parse<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.map(String).join(".")}: ${message}`);
  throw new KubernetesError(
    0,
    "UnknownForm",
    `The Kubernetes API server answered in an unknown form (${problems.join("; ")}); check that KServe's CRDs have serving.kserve.io/v1beta1`,
  );
}

/** The object itself is not there; a missing namespace or CRD is something else. */
function isNotFound(error: unknown, name: string): boolean {
  return error instanceof KubernetesError && error.status === 404 && error.about.name === name;
}

/** An object of the API server's as the module reads it, or undefined when it has not the form of one. */
export function parseLive(object: unknown): LiveInferenceService | undefined {
  return liveSchema.safeParse(object).data;
}
