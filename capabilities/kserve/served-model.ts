import * as z from "zod";
import type { LiveInferenceService } from "./live-inference-service";

/** By which MLServer learns what its model is called (mlserver/settings.py, ENV_PREFIX_MODEL_SETTINGS). */
const NAME_VARIABLE = "MLSERVER_MODEL_NAME";

const specOfModel = z.object({
  predictor: z.object({
    model: z.object({ env: z.array(z.object({ name: z.string(), value: z.string().default("") })) }),
  }),
});

/**
 * What a service's model server calls the model, which is in the path of its predictions: what the environment says, else the
 * service's name, which KServe gives to the servers of its own runtimes.
 */
export function servedModelName({ metadata, spec }: Pick<LiveInferenceService, "metadata" | "spec">): string {
  const environment = specOfModel.safeParse(spec).data?.predictor.model.env ?? [];
  return environment.find(({ name }) => name === NAME_VARIABLE)?.value ?? metadata.name;
}
