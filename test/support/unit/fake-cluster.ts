import { isDeepStrictEqual } from "node:util";
import { KubernetesError } from "../../../capabilities/kubernetes/api-server";
import { isManaged, keyOf } from "../../../capabilities/kserve/identity";
import { pagesOf } from "../../../capabilities/kubernetes/objects";
import type { InferenceServices } from "../../../capabilities/kserve/inference-services";
import type { LiveInferenceService } from "../../../capabilities/kserve/live-inference-service";
import type { InferenceServiceObject } from "../../../capabilities/template/rendering";
import { appliedFields, NAMESPACE } from "./objects";

/** So small that two services are on two pages. */
const PAGE_SIZE = 1;

/** A namespace's InferenceServices as an object, with the API server's rules about uid and resourceVersion. */
export interface FakeCluster extends InferenceServices {
  readonly objects: Map<string, LiveInferenceService>;
  /** What was written, in order: `apply <name>` or `delete <name>`. */
  readonly written: string[];
  /** Called before each write, to change the world at that moment or to refuse. */
  beforeWrite: (what: string) => void;
}

export function fakeCluster(...objects: readonly LiveInferenceService[]): FakeCluster {
  let revision = 1000;
  const cluster: FakeCluster = {
    namespace: NAMESPACE,
    objects: new Map(objects.map(object => [object.metadata.name, object])),
    written: [],
    beforeWrite: () => undefined,
    get: name => Promise.resolve(cluster.objects.get(name)),
    managedPages: () => pagesOf(cluster.listPage, PAGE_SIZE),
    listPage: (limit, next = "0") => {
      const all = [...cluster.objects.values()].filter(({ metadata }) => isManaged(metadata));
      const end = Number(next) + limit;
      return Promise.resolve({ items: all.slice(Number(next), end), next: end < all.length ? String(end) : undefined });
    },
    ofModel: model =>
      Promise.resolve([...cluster.objects.values()].filter(({ metadata }) => keyOf(metadata)?.model === model)),
    claim: live => Promise.resolve(live),
    ping: () => Promise.resolve(),
    rehearse: (object, replaces) => Promise.resolve(applied(object, replaces, 0)),
    async apply(object, replaces) {
      const { name } = object.metadata;
      await write(cluster, `apply ${name}`);
      const before = cluster.objects.get(name);
      if (replaces?.metadata.uid !== before?.metadata.uid) {
        throw before === undefined || replaces === undefined
          ? conflict(`apply ${name}`)
          : new KubernetesError(422, "Invalid", "metadata.uid: Invalid value: field is immutable");
      }
      if (replaces?.metadata.resourceVersion !== before?.metadata.resourceVersion) throw conflict(`apply ${name}`);
      const after = applied(object, before, ++revision);
      cluster.objects.set(name, after);
      return after;
    },
    async delete(live) {
      const { name, uid, resourceVersion } = live.metadata;
      await write(cluster, `delete ${name}`);
      const now = cluster.objects.get(name);
      if (now === undefined) return;
      if (now.metadata.uid !== uid || now.metadata.resourceVersion !== resourceVersion)
        throw conflict(`delete ${name}`);
      cluster.objects.delete(name);
    },
  };
  return cluster;
}

async function write(cluster: FakeCluster, what: string): Promise<void> {
  await Promise.resolve();
  cluster.beforeWrite(what);
  cluster.written.push(what);
}

function conflict(what: string): KubernetesError {
  return new KubernetesError(409, "Conflict", `conflict: ${what}`);
}

function applied(
  object: InferenceServiceObject,
  before: LiveInferenceService | undefined,
  revision: number,
): LiveInferenceService {
  const labels = { ...before?.metadata.labels, ...object.metadata.labels };
  const annotations = { ...before?.metadata.annotations, ...object.metadata.annotations };
  const spec = { ...before?.spec, ...object.spec };
  if (
    before &&
    before.metadata.managedFields.length > 0 &&
    isDeepStrictEqual([labels, annotations, spec], [before.metadata.labels, before.metadata.annotations, before.spec])
  ) {
    return before;
  }
  const sameSpec = before !== undefined && isDeepStrictEqual(spec, before.spec);
  return {
    metadata: {
      name: object.metadata.name,
      namespace: NAMESPACE,
      uid: before?.metadata.uid ?? `uid ${revision}`,
      resourceVersion: String(revision),
      generation: (before?.metadata.generation ?? 0) + (sameSpec ? 0 : 1),
      creationTimestamp: before?.metadata.creationTimestamp ?? "2026-01-02T03:04:05Z",
      finalizers: [],
      labels,
      annotations,
      managedFields: [appliedFields(object.metadata, object.spec)],
    },
    spec,
    status: before?.status ?? { conditions: [] },
  };
}
