import * as z from "zod";
import { KubernetesError } from "./api-server";
import type { ApiServer } from "./api-server";
import { isManaged, MANAGED_BY } from "../kserve/identity";
import { messageOf } from "../observability/logging";
import type { Log } from "../observability/logging";
import { endpointService, targetNamespace } from "./provided-objects";
import type { EndpointAddress, ProvidedObject } from "./provided-objects";

const liveObject = z.object({
  metadata: z.object({ labels: z.record(z.string(), z.string()).optional(), resourceVersion: z.string().optional() }),
});
type LiveObject = z.infer<typeof liveObject>;

export interface InstallationOptions {
  readonly apiServer: ApiServer;
  readonly log: Log;
  /** The module's own namespace. */
  readonly namespace: string;
  /** The namespace of the InferenceServices. */
  readonly targetNamespace: string;
  readonly endpoint: EndpointAddress;
}

/**
 * Provides what Pepr's manifests lack, so that `npx pepr deploy` alone gives a working system: the Service of the endpoint
 * and the namespace of the InferenceServices. What is missing is made; what the module made before is brought up to date;
 * what others made is left as it is. Several pods may do this at the same time: they apply the same.
 *
 * Never throws: what could not be done is a warning with its cause and a command that does it, because an administrator may
 * have good reasons not to give the module these rights.
 */
export async function completeInstallation(options: InstallationOptions): Promise<void> {
  const { apiServer, log, namespace, endpoint } = options;
  const objects = [targetNamespace(options.targetNamespace), endpointService(namespace, endpoint)];
  await Promise.all(objects.map(object => provide(object, apiServer, log)));
}

async function provide(object: ProvidedObject, apiServer: ApiServer, log: Log): Promise<void> {
  const { description, cure } = object;
  try {
    const live = await read(object, apiServer);
    if (live !== undefined && !isManaged(live.metadata)) {
      log.debug({ object: description }, "Left as it is, somebody else made it");
      return;
    }
    const applied = await apply(object, live !== undefined, apiServer);
    if (live === undefined) log.info({ object: description }, "Made, it was missing");
    else if (applied.metadata.resourceVersion !== live.metadata.resourceVersion)
      log.info({ object: description }, "Brought up to date");
  } catch (error) {
    const message = "Could not be provided; unless it exists, make it, or let the module's ServiceAccount make it";
    log.warn({ object: description, cause: messageOf(error), cure }, message);
  }
}

async function read({ path }: ProvidedObject, apiServer: ApiServer): Promise<LiveObject | undefined> {
  try {
    return liveObject.parse((await apiServer({ method: "GET", path })).body);
  } catch (error) {
    if (error instanceof KubernetesError && error.status === 404) return undefined;
    throw error;
  }
}

/**
 * Server-side apply: unlike POST, RBAC can allow it for one name only.
 *
 * @param isOurs take back what others changed; otherwise what somebody else made a moment ago is a conflict
 */
async function apply({ path, body }: ProvidedObject, isOurs: boolean, apiServer: ApiServer): Promise<LiveObject> {
  const answer = await apiServer({
    method: "PATCH",
    path,
    query: { fieldManager: MANAGED_BY, force: String(isOurs), fieldValidation: "Strict" },
    contentType: "application/apply-patch+yaml",
    body,
  });
  return liveObject.parse(answer.body);
}
