import * as z from "zod";
import type { ApiServer } from "../kubernetes/api-server";
import { KubernetesError } from "../kubernetes/api-server";
import { deleteExactly, LIST_PAGE_SIZE, orNotFound, pagesOf, parseObject } from "../kubernetes/objects";
import type { ObjectIdentity, ObjectPage } from "../kubernetes/objects";
import { owns } from "./field-ownership";
import { labelValue, MANAGED_BY, MANAGED_BY_LABEL, MODEL_LABEL } from "./identity";
import type { InferenceServiceObject } from "../template/rendering";
import { describesService, listedSchema, liveSchema } from "./live-inference-service";
import type { LiveInferenceService } from "./live-inference-service";
import { API_VERSION, KIND } from "../template/template-checks";

/** Who applies, in `managedFields`. */
export const FIELD_MANAGER = MANAGED_BY;

/** Selects what has our label. */
const OURS = `${MANAGED_BY_LABEL}=${MANAGED_BY}`;

/** A list's answer, one page of it. */
export const listSchema = z.object({
  metadata: z.object({ continue: z.string().optional() }).default({}),
  items: z.array(listedSchema),
});

/** A part of all InferenceServices with our label; of their `managedFields`, what we own. */
export type InferenceServicePage = ObjectPage<LiveInferenceService>;

/** The InferenceServices of one namespace. Every method throws {@link KubernetesError}. */
export interface InferenceServices {
  readonly namespace: string;
  get: (name: string) => Promise<LiveInferenceService | undefined>;
  /** All with our label, in parts; ends with an error rather than before the last. */
  managedPages: () => AsyncIterable<readonly LiveInferenceService[]>;
  /**
   * One page of those with our label. A `next` that is too old fails with Expired (410), one that never was with
   * BadRequest (400).
   */
  listPage: (limit: number, next?: string) => Promise<InferenceServicePage>;
  /** All with our label that are of a model, by its label. */
  ofModel: (model: string) => Promise<LiveInferenceService[]>;
  /**
   * Server-side apply. With `replaces` (the object that was read) fields that others changed are taken back, and the
   * request fails with Conflict when the object was changed since: it may be somebody else's by now. Without, it is meant
   * to create, and fails with Conflict rather than take over an object that somebody made in the meantime.
   */
  apply: (object: InferenceServiceObject, replaces?: LiveInferenceService) => Promise<LiveInferenceService>;
  /** What an Apply would make of an object, as the API server and its admission tell. Nothing is written. */
  rehearse: (object: InferenceServiceObject, replaces: LiveInferenceService) => Promise<LiveInferenceService>;
  /**
   * Makes all fields of a service's spec ours, with the values that they have: those that nobody set by name then go with
   * the next Apply that does not have them. Changes nothing else.
   */
  claim: (live: LiveInferenceService) => Promise<LiveInferenceService>;
  /** Deletes exactly the object that was read; fails with Conflict when it changed since. Gone already is success. */
  delete: (live: LiveInferenceService) => Promise<void>;
  /** One cheap request that shows whether the API server answers and lets us read. */
  ping: () => Promise<void>;
}

/** What an Apply sends, at the least. */
interface AppliedObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string } & Partial<ObjectIdentity>;
}

export function createInferenceServices(apiServer: ApiServer, namespace: string): InferenceServices {
  const collection = `/apis/serving.kserve.io/v1beta1/namespaces/${encodeURIComponent(namespace)}/inferenceservices`;
  const pathOf = (name: string): string => `${collection}/${encodeURIComponent(name)}`;
  const listSelected = async (labelSelector: string, limit: number, next?: string): Promise<InferenceServicePage> => {
    const query = {
      labelSelector,
      limit: String(limit),
      ...(next === undefined ? {} : { continue: next }),
    };
    const page = parse(listSchema, (await apiServer({ method: "GET", path: collection, query })).body);
    const following = page.metadata.continue;
    // The last page's is an empty text.
    return { items: page.items, next: following === "" ? undefined : following };
  };
  const listPage: InferenceServices["listPage"] = (limit, next) => listSelected(OURS, limit, next);
  const sendApply = async (
    object: AppliedObject,
    force: boolean,
    isRehearsal = false,
  ): Promise<{ created: boolean; live: LiveInferenceService }> => {
    const answer = await apiServer({
      method: "PATCH",
      path: pathOf(object.metadata.name),
      query: {
        fieldManager: FIELD_MANAGER,
        force: String(force),
        fieldValidation: "Strict",
        ...(isRehearsal ? { dryRun: "All" } : {}),
      },
      contentType: "application/apply-patch+yaml",
      body: object,
    });
    return { created: answer.status === 201, live: parse(liveSchema, answer.body) };
  };

  /**
   * Takes back what an Apply that was meant to create put into an object that somebody else had made a moment before: it
   * went through because no field had two values. An Apply of nothing gives up all fields that only we own.
   *
   * @throws KubernetesError Conflict once it is taken back
   */
  const withdraw = async (live: LiveInferenceService): Promise<void> => {
    const { name, namespace: inNamespace, uid } = live.metadata;
    const nothing = { apiVersion: API_VERSION, kind: KIND, metadata: { name, namespace: inNamespace } };
    try {
      await sendApply(withIdentity(nothing, { uid }), false);
    } catch (error) {
      // What would be left is no InferenceService: what makes it one is another replica of this module's.
      if (error instanceof KubernetesError && (error.status === 400 || error.status === 422)) return;
      throw error;
    }
    throw new KubernetesError(409, "Conflict", `InferenceService ${inNamespace}/${name} was made by somebody else`);
  };

  return {
    namespace,
    listPage,

    async get(name) {
      const answer = await orNotFound(name, apiServer({ method: "GET", path: pathOf(name) }));
      return answer && parse(liveSchema, answer.body);
    },

    managedPages: () => pagesOf(listPage, LIST_PAGE_SIZE),

    async ofModel(model) {
      const selector = `${OURS},${MODEL_LABEL}=${labelValue(model)}`;
      const found: LiveInferenceService[] = [];
      const pages = pagesOf((limit, next) => listSelected(selector, limit, next), LIST_PAGE_SIZE);
      for await (const page of pages) found.push(...page);
      return found;
    },

    async apply(object, replaces) {
      if (replaces !== undefined) {
        const { uid, resourceVersion } = replaces.metadata;
        try {
          return (await sendApply(withIdentity(object, { uid, resourceVersion }), true)).live;
        } catch (error) {
          throw error instanceof KubernetesError ? concerning(error, uid) : error;
        }
      }
      const { created, live } = await sendApply(object, false);
      if (!created && hasOtherOwners(live)) await withdraw(live);
      return live;
    },

    async rehearse(object, { metadata: { uid } }) {
      // Whatever KServe has written into its status since is no matter.
      return (await sendApply(withIdentity(object, { uid }), true, true)).live;
    },

    async claim(live) {
      const { name, namespace: inNamespace, uid, resourceVersion, labels, annotations } = live.metadata;
      const ours = (field: string, map: Readonly<Record<string, string>>): Record<string, string> =>
        Object.fromEntries(Object.entries(map).filter(([key]) => owns(live, FIELD_MANAGER, ["metadata", field, key])));
      const metadata = {
        name,
        namespace: inNamespace,
        labels: ours("labels", labels),
        annotations: ours("annotations", annotations),
      };
      const object = { apiVersion: API_VERSION, kind: KIND, metadata, spec: live.spec };
      return (await sendApply(withIdentity(object, { uid, resourceVersion }), true)).live;
    },

    delete: ({ metadata }) => deleteExactly(apiServer, pathOf(metadata.name), metadata),

    async ping() {
      await apiServer({ method: "GET", path: collection, query: { limit: "1" } });
    },
  };
}

/** @throws KubernetesError when the API server's answer has not the form */
export function parse<T>(schema: z.ZodType<T>, body: unknown): T {
  return parseObject(schema, body, "check that KServe's CRDs have serving.kserve.io/v1beta1");
}

function withIdentity(object: AppliedObject, identity: Partial<ObjectIdentity>): AppliedObject {
  return { ...object, metadata: { ...object.metadata, ...identity } };
}

/** The same error, of which it is known which object it is about: an Event about it is then found beside the object. */
function concerning({ status, reason, message, about, cause }: KubernetesError, uid: string): KubernetesError {
  return new KubernetesError(status, reason, message, { ...about, uid }, { cause });
}

/** Whether somebody else has set a part of the spec, the labels or the annotations, as `managedFields` tells. */
function hasOtherOwners(live: LiveInferenceService): boolean {
  return live.metadata.managedFields.some(entry => entry.manager !== FIELD_MANAGER && describesService(entry));
}
