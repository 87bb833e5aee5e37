import * as z from "zod";
import type { ApiServer } from "../kubernetes/api-server";

const time = z.string().nullish();
const containerStatus = z.object({
  name: z.string(),
  state: z
    .object({
      waiting: z.object({ reason: z.string().default(""), message: z.string().default("") }).optional(),
      running: z.object({ startedAt: time }).optional(),
      terminated: z
        .object({ finishedAt: time, exitCode: z.number().default(0), reason: z.string().default("") })
        .optional(),
    })
    .default({}),
});
const podSchema = z.object({
  metadata: z.object({
    name: z.string(),
    creationTimestamp: z.string(),
    deletionTimestamp: z.string().optional(),
  }),
  status: z
    .object({
      conditions: z
        .array(z.object({ type: z.string(), status: z.string(), message: z.string().default("") }))
        .default([]),
      initContainerStatuses: z.array(containerStatus).default([]),
      containerStatuses: z.array(containerStatus).default([]),
    })
    .prefault({}),
});
const listSchema = z.object({ items: z.array(podSchema) });

/** A pod of a predictor, as much as is read of it. */
export type PredictorPod = z.output<typeof podSchema>;

/** Pods that are read of one service: they come in no order, and the newest is looked for. */
const LIMIT = "100";

/**
 * The newest pod of a service that is not on its way out, undefined when there is none.
 *
 * @throws KubernetesError when they may not or cannot be read
 */
export async function newestPod(
  apiServer: ApiServer,
  namespace: string,
  inferenceService: string,
): Promise<PredictorPod | undefined> {
  const { body } = await apiServer({
    method: "GET",
    path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`,
    query: { labelSelector: `serving.kserve.io/inferenceservice=${inferenceService}`, limit: LIMIT },
  });
  return listSchema
    .parse(body)
    .items.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .sort((one, other) => other.metadata.creationTimestamp.localeCompare(one.metadata.creationTimestamp))[0];
}
