import type { ApiServer } from "../kubernetes/api-server";
import { MANAGED_BY, MANAGED_BY_LABEL } from "./identity";
import { LIST_PAGE_SIZE, pagesOf } from "../kubernetes/objects";
import { listSchema, parse } from "./inference-services";
import type { LiveInferenceService } from "./live-inference-service";

const SERVICES = "inferenceservices";
const API = "/apis/serving.kserve.io/v1beta1";

/** Metadata alone: it says whose an object is, and the rest is most of it. */
const METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/** Where to look: in all namespaces but one, or in one. */
export type Whereabouts = { readonly except: string } | { readonly namespace: string };

/**
 * The InferenceServices with our label that are there, in parts, each with its metadata only.
 *
 * @throws KubernetesError, Forbidden (403) where the module may not look
 */
export function servicesElsewhere(
  apiServer: ApiServer,
  where: Whereabouts,
): AsyncIterable<readonly LiveInferenceService[]> {
  const path =
    "namespace" in where
      ? `${API}/namespaces/${encodeURIComponent(where.namespace)}/${SERVICES}`
      : `${API}/${SERVICES}`;
  const listPage = async (
    limit: number,
    next?: string,
  ): Promise<{ items: LiveInferenceService[]; next: string | undefined }> => {
    const query = {
      labelSelector: `${MANAGED_BY_LABEL}=${MANAGED_BY}`,
      ...("except" in where ? { fieldSelector: `metadata.namespace!=${where.except}` } : {}),
      limit: String(limit),
      ...(next === undefined ? {} : { continue: next }),
    };
    const page = parse(listSchema, (await apiServer({ method: "GET", path, query, accept: METADATA_ONLY })).body);
    return { items: page.items, next: page.metadata.continue === "" ? undefined : page.metadata.continue };
  };
  return pagesOf(listPage, LIST_PAGE_SIZE);
}
