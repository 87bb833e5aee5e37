import { KubernetesError } from "../../capabilities/kubernetes/api-server";
import type { ApiServer, ApiServerRequest } from "../../capabilities/kubernetes/api-server";
import { identityLabels, MANAGED_BY, MANAGED_BY_LABEL } from "../../capabilities/kserve/identity";
import { MANAGEMENT_ANNOTATION } from "../../capabilities/kserve/management";
import { inferenceServiceName } from "../../capabilities/kserve/names";
import type { ModelVersionKey } from "../../capabilities/support/model-version-key";
import type { ForeignObjects, OwnedObject } from "./foreign-objects";
import type { EditName, ForeignVariant, ObjectOperation } from "./operations";

/** What each manual change sends, as a merge patch. */
const EDITS: Readonly<Record<EditName, object>> = {
  "storage URI": { spec: { predictor: { model: { storageUri: "s3://somebody/else" } } } },
  "memory limit": { spec: { predictor: { model: { resources: { limits: { memory: "3Gi" } } } } } },
  "protocol removed": { spec: { predictor: { model: { protocolVersion: null } } } },
  // A field that the template does not have is nobody's business but theirs.
  "replicas added": { spec: { predictor: { minReplicas: 2 } } },
  "label added": { metadata: { labels: { team: "theirs" } } },
  "model label changed": { metadata: { labels: { "mlflow.model": "another" } } },
  "version label removed": { metadata: { labels: { "mlflow.version": null } } },
  "annotation added": { metadata: { annotations: { note: "by hand" } } },
  "digest changed": { metadata: { annotations: { "mlflow.rendered": "0" } } },
  "source annotation removed": { metadata: { annotations: { "mlflow.source": null } } },
  // This makes it another's: by its annotations it is not found any more.
  "model annotation changed": { metadata: { annotations: { "mlflow.model": "another" } } },
  "identity annotations removed": { metadata: { annotations: { "mlflow.model": null, "mlflow.version": null } } },
};

const MANAGEMENT = { pause: "paused", release: "released", unpause: null } as const;

const SOMEBODY = "somebody";

/** How the Python client of the listener before this module names itself. */
const FORMER_LISTENER = "OpenAPI-Generator";

/**
 * Other people who write to the cluster, with the API server itself and without the module's admission: that would
 * refuse some of these changes, and is ignored by the API server whenever it does not answer.
 */
export interface ClusterDriver {
  /** @returns false when there is no object, or it has gone meanwhile. @throws KubernetesError */
  change: (operation: Exclude<ObjectOperation, { kind: "relabel" }>) => Promise<boolean>;
  /** Gives an object the labels of this version's service. @returns false as {@link change} does. @throws KubernetesError */
  relabel: (object: number, key: ModelVersionKey) => Promise<boolean>;
  /** @returns false when there was an object of that name already. @throws KubernetesError */
  createForeign: (key: ModelVersionKey, variant: ForeignVariant) => Promise<boolean>;
  /**
   * Makes a version's service as the listener before this module did.
   *
   * @returns false when there was an object of that name already. @throws KubernetesError
   */
  createAsFormerListener: (key: ModelVersionKey, storageUri: string) => Promise<boolean>;
  /** Changes a version's service by hand, and has the module leave it so. @throws KubernetesError */
  takeOver: (key: ModelVersionKey, how: "pause" | "release") => Promise<void>;
  /** Looks at what became of writes that got no answer because the API server was killed. @throws KubernetesError */
  settleUnanswered: () => Promise<void>;
}

/** @param keepOff names of objects that they leave alone */
export function createClusterDriver(
  apiServer: ApiServer,
  namespace: string,
  foreign: ForeignObjects,
  keepOff: ReadonlySet<string>,
): ClusterDriver {
  const collection = `/apis/serving.kserve.io/v1beta1/namespaces/${namespace}/inferenceservices`;

  /** By name; with the uid of the object that was to be deleted. */
  const unanswered = new Map<string, string | undefined>();

  const write = async (name: string, request: ApiServerRequest, deletes?: string): Promise<OwnedObject | undefined> => {
    try {
      const query = { fieldManager: SOMEBODY };
      return (await apiServer({ query, ...request })).body as OwnedObject;
    } catch (error) {
      const missed = error instanceof KubernetesError && (error.status === 404 || error.status === 409);
      if (missed) return undefined;
      if (error instanceof KubernetesError && error.reason === "NoAnswer") unanswered.set(name, deletes);
      throw error;
    }
  };

  const patch = async (name: string, body: unknown): Promise<boolean> => {
    const contentType = "application/merge-patch+json";
    const written = await write(name, { method: "PATCH", path: `${collection}/${name}`, contentType, body });
    if (written !== undefined) foreign.written(written, false);
    return written !== undefined;
  };

  const pick = async (number: number): Promise<OwnedObject | undefined> => {
    const { items } = (await apiServer({ method: "GET", path: collection })).body as { items: OwnedObject[] };
    const live = items.filter(
      ({ metadata }) => metadata.deletionTimestamp === undefined && !keepOff.has(metadata.name),
    );
    return live[number % Math.max(1, live.length)];
  };

  const create = async (name: string, body: unknown, fieldManager = SOMEBODY): Promise<boolean> => {
    const made = await write(name, { method: "POST", path: collection, body, query: { fieldManager } });
    if (made !== undefined) foreign.written(made, true);
    return made !== undefined;
  };

  return {
    async change(operation) {
      const object = await pick(operation.object);
      if (object === undefined) return false;
      const { name, uid } = object.metadata;
      switch (operation.kind) {
        case "edit":
          return await patch(name, EDITS[operation.edit]);
        case "take label off":
          return await patch(name, { metadata: { labels: { [MANAGED_BY_LABEL]: null } } });
        case "put label on":
          return await patch(name, { metadata: { labels: { [MANAGED_BY_LABEL]: MANAGED_BY } } });
        case "pause":
        case "release":
        case "unpause":
          return await patch(name, {
            metadata: { annotations: { [MANAGEMENT_ANNOTATION]: MANAGEMENT[operation.kind] } },
          });
        case "delete object": {
          const body = { apiVersion: "v1", kind: "DeleteOptions", preconditions: { uid } };
          const gone = await write(name, { method: "DELETE", path: `${collection}/${name}`, query: {}, body }, uid);
          if (gone !== undefined) foreign.deleted(uid);
          return gone !== undefined;
        }
      }
    },

    async createForeign(key, variant) {
      const name = inferenceServiceName(key, namespace);
      return await create(name, foreignObject(name, namespace, variant));
    },

    async createAsFormerListener(key, storageUri) {
      const name = inferenceServiceName(key, namespace);
      return await create(name, formerListenersObject(name, namespace, key, storageUri), FORMER_LISTENER);
    },

    async takeOver(key, how) {
      const metadata = { annotations: { [MANAGEMENT_ANNOTATION]: MANAGEMENT[how] } };
      await patch(inferenceServiceName(key, namespace), { ...EDITS["memory limit"], metadata });
    },

    async relabel(number, key) {
      const name = (await pick(number))?.metadata.name;
      return name !== undefined && (await patch(name, { metadata: { labels: identityLabels(key) } }));
    },

    async settleUnanswered() {
      const { items } = (await apiServer({ method: "GET", path: collection })).body as { items: OwnedObject[] };
      const live = new Map(items.map(object => [object.metadata.name, object]));
      for (const [name, deletedUid] of unanswered) {
        const object = live.get(name);
        const isThere = object?.metadata.uid === deletedUid && object?.metadata.deletionTimestamp === undefined;
        if (deletedUid !== undefined && !isThere) foreign.deleted(deletedUid);
        if (object !== undefined) foreign.found(object);
      }
      unanswered.clear();
    },
  };
}

function foreignObject(name: string, namespace: string, variant: ForeignVariant): unknown {
  const labels = variant === "with our label" ? { [MANAGED_BY_LABEL]: MANAGED_BY } : { owner: SOMEBODY };
  const predictor =
    variant === "own container"
      ? { containers: [{ name: "kserve-container", image: "registry.example.com/theirs:1" }] }
      : { model: { modelFormat: { name: "sklearn" }, storageUri: "s3://somebody/else" } };
  return {
    apiVersion: "serving.kserve.io/v1beta1",
    kind: "InferenceService",
    metadata: { name, namespace, labels, annotations: { note: "theirs" } },
    spec: { predictor },
  };
}

function formerListenersObject(name: string, namespace: string, key: ModelVersionKey, storageUri: string): unknown {
  const model = { modelFormat: { name: "mlflow" }, protocolVersion: "v2", storageUri };
  return {
    apiVersion: "serving.kserve.io/v1beta1",
    kind: "InferenceService",
    metadata: { name, namespace, labels: identityLabels(key) },
    spec: { predictor: { model } },
  };
}
