import * as z from "zod";
import { MANAGED_BY } from "./identity";

const stringMap = z.record(z.string(), z.string());

const managedFieldsEntry = z.object({
  manager: z.string().default(""),
  /** `Apply` for server-side apply, else `Update`. */
  operation: z.string().default(""),
  subresource: z.string().default(""),
  time: z.string().default(""),
  fieldsV1: z.record(z.string(), z.unknown()).default({}),
});

/** What the module reads of an InferenceService in the cluster. */
export const liveSchema = z.object({
  metadata: z.object({
    name: z.string(),
    namespace: z.string(),
    uid: z.string(),
    resourceVersion: z.string(),
    generation: z.number().default(0),
    creationTimestamp: z.string().default(""),
    deletionTimestamp: z.string().optional(),
    /** What has to be done before the object may go. */
    finalizers: z.array(z.string()).default([]),
    labels: stringMap.default({}),
    annotations: stringMap.default({}),
    managedFields: z.array(managedFieldsEntry).default([]),
  }),
  spec: z.record(z.string(), z.unknown()).default({}),
  status: z
    .object({
      url: z.string().optional(),
      /** Where the cluster itself reaches it. */
      address: z.object({ url: z.string().optional() }).optional().catch(undefined),
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
      // Only for people to read: of another form it must not hide the service.
      modelStatus: z
        .object({
          transitionStatus: z.string().default(""),
          lastFailureInfo: z.object({ reason: z.string().default(""), message: z.string().default("") }).optional(),
        })
        .optional()
        .catch(undefined),
    })
    .default({ conditions: [] }),
});

/** One of many in a list: of who set which fields only what we did, since that is half of each object in memory. */
export const listedSchema = liveSchema.extend({
  metadata: liveSchema.shape.metadata.extend({
    managedFields: z
      .array(managedFieldsEntry)
      .default([])
      .transform(entries => entries.filter(({ manager }) => manager === MANAGED_BY)),
  }),
});

/** One entry of `metadata.managedFields`: who set which fields, and when. */
export type ManagedFieldsEntry = z.output<typeof managedFieldsEntry>;

/** An InferenceService as it is in the cluster. */
export type LiveInferenceService = z.output<typeof liveSchema>;

/** An object of the API server's as the module reads it, or undefined when it has not the form of one. */
export function parseLive(object: unknown): LiveInferenceService | undefined {
  return liveSchema.safeParse(object).data;
}

/** Whether an entry of `managedFields` is about what an InferenceService should be: spec, labels or annotations. */
export function describesService({ subresource, fieldsV1 }: ManagedFieldsEntry): boolean {
  if (subresource !== "") return false;
  const metadata = fieldsV1["f:metadata"];
  const isIdentity = typeof metadata === "object" && metadata !== null;
  return (
    Object.hasOwn(fieldsV1, "f:spec") ||
    (isIdentity && (Object.hasOwn(metadata, "f:labels") || Object.hasOwn(metadata, "f:annotations")))
  );
}
