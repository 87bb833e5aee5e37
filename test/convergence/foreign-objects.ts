import { keyOf, MANAGED_BY } from "../../capabilities/kserve/identity";
import { MANAGEMENT_ANNOTATION } from "../../capabilities/kserve/management";

/** The part of an InferenceService that its owner writes, and what tells it from others. */
export interface OwnedObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly deletionTimestamp?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly managedFields?: readonly { readonly manager?: string }[];
  };
  readonly spec: unknown;
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

/** An object that is not the module's, or that a person told it to leave alone, as its owner left it. */
export interface ForeignObject {
  readonly left: OwnedObject;
  /** false: the module made it or took it over once, and somebody has it now. */
  readonly madeByOthers: boolean;
}

/** Remembers which objects are somebody else's, from what the API server answered to those who wrote them. */
export interface ForeignObjects {
  /** Somebody else wrote this. It may be the module's all the same: a change of its spec makes it nobody else's. */
  written: (object: OwnedObject, created: boolean) => void;
  /** Somebody else deleted the object with this uid. */
  deleted: (uid: string) => void;
  /** What is there where a write of somebody else's got no answer: it may have been done, or not. */
  found: (object: OwnedObject) => void;
  readonly all: readonly ForeignObject[];
  /** Whether somebody else wrote the object with this uid, ever. */
  readonly hasWritten: (uid: string) => boolean;
}

/** @param isOurs whether the module may take an object for its own, now or once it knows of its version */
export function createForeignObjects(
  isOurs: (metadata: OwnedObject["metadata"]) => boolean = metadata => keyOf(metadata) !== undefined,
): ForeignObjects {
  const byUid = new Map<string, ForeignObject>();
  const gone = new Set<string>();
  const objects: ForeignObjects = {
    written(object, created) {
      const { uid, deletionTimestamp } = object.metadata;
      // Who changes what is on its way out, and only waits for KServe's finalizer, does not keep it.
      if (gone.has(uid) || deletionTimestamp !== undefined) return;
      const before = byUid.get(uid);
      // Answers to writes at the same time may come in another order than the writes were done.
      if (before !== undefined && revisionOf(before.left) > revisionOf(object)) return;
      byUid.set(uid, {
        left: object,
        madeByOthers: (created || before?.madeByOthers === true) && !isOurs(object.metadata),
      });
    },
    deleted(uid) {
      gone.add(uid);
      byUid.delete(uid);
    },
    found(object) {
      const isModules = object.metadata.managedFields?.some(({ manager }) => manager === MANAGED_BY) === true;
      // What the module wrote into an object that it did not make stays to be found out.
      if (isModules && byUid.get(object.metadata.uid)?.madeByOthers === true) return;
      objects.written(object, !isModules);
    },
    get all() {
      return [...byUid.values()].filter(({ left: { metadata } }) => !isOurs(metadata) || isLeftAlone(metadata));
    },
    hasWritten: uid => byUid.has(uid),
  };
  return objects;
}

/** Whether a person told the module to keep its hands off. */
export function isLeftAlone({ annotations }: OwnedObject["metadata"]): boolean {
  return (annotations?.[MANAGEMENT_ANNOTATION] ?? "") !== "";
}

function revisionOf(object: OwnedObject): bigint {
  return BigInt(object.metadata.resourceVersion);
}
