import type { InferenceServices } from "../../capabilities/kserve/inference-services";
import type { LiveInferenceService } from "../../capabilities/kserve/live-inference-service";

/** All InferenceServices with our label. @throws KubernetesError when one page of them is not to be had */
export async function listManaged(services: Pick<InferenceServices, "managedPages">): Promise<LiveInferenceService[]> {
  const found: LiveInferenceService[] = [];
  for await (const page of services.managedPages()) found.push(...page);
  return found;
}
