import * as z from "zod";
import type { ApiServer } from "./api-server";
import { deleteExactly, LIST_PAGE_SIZE, orNotFound, pagesOf, parseObject } from "./objects";
import type { ObjectPage } from "./objects";

const CURE = "check that the kubeconfig's server is the Kubernetes API server itself";

const portSchema = z.object({
  name: z.string().default(""),
  port: z.number(),
  targetPort: z.union([z.number(), z.string()]).optional(),
  protocol: z.string().default("TCP"),
  appProtocol: z.string().optional(),
});

const stringMap = z.record(z.string(), z.string());

const serviceSchema = z.object({
  metadata: z.object({
    name: z.string(),
    uid: z.string(),
    resourceVersion: z.string(),
    deletionTimestamp: z.string().optional(),
    labels: stringMap.default({}),
    annotations: stringMap.default({}),
  }),
  spec: z.object({ selector: stringMap.default({}), ports: z.array(portSchema).default([]) }).prefault({}),
});

const listSchema = z.object({
  metadata: z.object({ continue: z.string().optional() }).default({}),
  items: z.array(serviceSchema),
});

/** A Service of Kubernetes' as the module reads it. */
export type LiveService = z.output<typeof serviceSchema>;

/** One of its ports. */
export type ServicePort = z.output<typeof portSchema>;

/** A Service as an Apply sends it. */
export interface ServiceObject {
  readonly apiVersion: "v1";
  readonly kind: "Service";
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly selector: Readonly<Record<string, string>>;
    readonly ports: readonly ServicePort[];
    readonly [field: string]: unknown;
  };
}

/** The Services of one namespace. Every method throws {@link KubernetesError}. */
export interface Services {
  readonly namespace: string;
  readonly get: (name: string) => Promise<LiveService | undefined>;
  /** All with these labels, or an error: never a part of them. */
  readonly labelled: (labelSelector: string) => Promise<LiveService[]>;
  /**
   * Server-side apply. With `replaces` (the object that was read) fields that others changed are taken back, and the request
   * fails with Conflict when the object was changed since. Without, it is meant to create, and fails with Conflict where
   * somebody made one meanwhile that differs.
   */
  readonly apply: (object: ServiceObject, replaces?: LiveService) => Promise<LiveService>;
  /** Deletes exactly the object that was read; fails with Conflict when it changed since. */
  readonly delete: (live: LiveService) => Promise<void>;
}

/** @param fieldManager who applies, in `managedFields` */
export function createServices(apiServer: ApiServer, namespace: string, fieldManager: string): Services {
  const collection = `/api/v1/namespaces/${encodeURIComponent(namespace)}/services`;
  const pathOf = (name: string): string => `${collection}/${encodeURIComponent(name)}`;

  return {
    namespace,

    async get(name) {
      const answer = await orNotFound(name, apiServer({ method: "GET", path: pathOf(name) }));
      return answer && parseObject(serviceSchema, answer.body, CURE);
    },

    async labelled(labelSelector) {
      const listPage = async (limit: number, next?: string): Promise<ObjectPage<LiveService>> => {
        const query = { labelSelector, limit: String(limit), ...(next === undefined ? {} : { continue: next }) };
        const { body } = await apiServer({ method: "GET", path: collection, query });
        const { items, metadata } = parseObject(listSchema, body, CURE);
        // The last page's is an empty text.
        return { items, next: metadata.continue === "" ? undefined : metadata.continue };
      };
      const found: LiveService[] = [];
      for await (const page of pagesOf(listPage, LIST_PAGE_SIZE)) found.push(...page);
      return found;
    },

    async apply(object, replaces) {
      const { uid, resourceVersion } = replaces?.metadata ?? {};
      const { body } = await apiServer({
        method: "PATCH",
        path: pathOf(object.metadata.name),
        query: { fieldManager, force: String(replaces !== undefined), fieldValidation: "Strict" },
        contentType: "application/apply-patch+yaml",
        body: { ...object, metadata: { ...object.metadata, uid, resourceVersion } },
      });
      return parseObject(serviceSchema, body, CURE);
    },

    delete: ({ metadata }) => deleteExactly(apiServer, pathOf(metadata.name), metadata),
  };
}
