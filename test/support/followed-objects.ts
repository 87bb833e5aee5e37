import { Watch } from "@kubernetes/client-node";
import { connectToApiServer } from "../../capabilities/kubernetes/api-server";
import { kubeConfigFrom } from "./kube-config";
import { waitFor } from "./waiting";

/** What every object has. */
export interface FollowedObject {
  readonly metadata: { readonly name: string; readonly uid: string; readonly resourceVersion?: string };
}

/** All objects of a collection, by name, as they are after each event of a watch. */
export interface FollowedObjects<T> {
  readonly objects: ReadonlyMap<string, T>;
  /** Waits until the objects are so. */
  until: (what: string, isSo: (objects: ReadonlyMap<string, T>) => boolean, timeout?: number) => Promise<void>;
  stop: () => void;
}

/**
 * Follows a collection through a list and a watch, so that no state in between is overlooked, however short.
 *
 * @param path the collection's path in the API
 * @param look is shown all objects at the beginning and after each event
 */
export async function followObjects<T extends FollowedObject>(
  kubeconfig: string,
  path: string,
  look: (objects: ReadonlyMap<string, T>) => void = () => undefined,
): Promise<FollowedObjects<T>> {
  const kubeConfig = kubeConfigFrom(kubeconfig);
  const { body } = await connectToApiServer(15_000, kubeConfig)({ method: "GET", path });
  const { items, metadata } = body as { items: T[]; metadata: { resourceVersion: string } };
  const objects = new Map(items.map(item => [item.metadata.name, item]));
  let { resourceVersion } = metadata;
  let request: AbortController | undefined;
  let stopped = false;
  let failure: unknown;
  look(objects);

  const watch = async (): Promise<void> => {
    request = await new Watch(kubeConfig).watch(
      path,
      { resourceVersion, allowWatchBookmarks: true },
      (phase, object: T) => {
        if (phase === "ERROR") failure = new Error(`The watch of ${path} has a gap: ${JSON.stringify(object)}`);
        resourceVersion = object.metadata.resourceVersion ?? resourceVersion;
        if (phase !== "ADDED" && phase !== "MODIFIED" && phase !== "DELETED") return;
        if (phase === "DELETED") objects.delete(object.metadata.name);
        else objects.set(object.metadata.name, object);
        look(objects);
      },
      () => {
        // The API server ends each watch after some minutes; the next one goes on where it ended.
        if (!stopped) void watch().catch((error: unknown) => (failure = error));
      },
    );
  };
  await watch();
  return {
    objects,
    until: (what, isSo, timeout) =>
      waitFor(
        what,
        () => {
          if (failure !== undefined) throw failure as Error;
          return isSo(objects) || undefined;
        },
        timeout,
      ).then(() => undefined),
    stop() {
      stopped = true;
      request?.abort();
    },
  };
}
