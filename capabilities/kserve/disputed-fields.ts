import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { BoundedCache } from "../support/bounded-cache";
import type { InferenceServiceObject } from "../template/rendering";
import { formatPath, isInSet, valueAt } from "./field-ownership";
import { FIELD_MANAGER } from "./inference-services";
import type { InferenceServices } from "./inference-services";
import { describesService } from "./live-inference-service";
import type { LiveInferenceService, ManagedFieldsEntry } from "./live-inference-service";

/** What `managedFields` says is ours in an InferenceService. */
interface Hold {
  /** When we last changed it, in seconds; empty when nothing in it is ours. */
  readonly time: string;
  /** A digest of the fields that are ours. */
  readonly fields: string;
}

/** What we last saw of it, and the digest of the time before others took anything, when we saw that. */
export interface KnownHold extends Hold {
  readonly whole?: string | undefined;
}

/** A field that we set and somebody else sets to another value, or took away. */
export interface DisputedField {
  /** Its path, like `spec.predictor.model.storageUri`. */
  readonly field: string;
  /** The field manager that set it; undefined when the field is gone, since nobody owns what is not there. */
  readonly manager: string | undefined;
}

/** Services whose disputed fields are remembered. */
const CAPACITY = 10_000;

/**
 * What is ours in a service. The API server takes a field out of it when somebody else gives it another value or removes
 * it, be it in spec, labels or annotations; nobody's status, finalizers or own annotations change it.
 */
function holdOf(live: LiveInferenceService): Hold {
  const ours = live.metadata.managedFields.filter(entry => isOurs(entry) && describesService(entry));
  const fields = createHash("sha1").update(JSON.stringify(ours.map(({ fieldsV1 }) => fieldsV1)));
  const time = ours.map(entry => entry.time).sort();
  return { time: time.at(-1) ?? "", fields: fields.digest("base64") };
}

/**
 * Whether somebody else changed what is ours since we last saw a service, and what is to be known of it the next time.
 * Unlike in `generation`, it shows in the hold when labels or annotations were changed, and a change of what is not ours
 * does not.
 *
 * @param before undefined when we see the service for the first time
 */
export function compareHold(
  before: KnownHold | undefined,
  live: LiveInferenceService,
): { readonly isTaken: boolean; readonly known: KnownHold } {
  const now = holdOf(live);
  if (before?.fields === now.fields && before.time === now.time) return { isTaken: false, known: before };
  const isTaken = wasTaken(before, now, live);
  return { isTaken, known: { ...now, whole: isTaken ? before?.whole : now.fields } };
}

function wasTaken(before: KnownHold | undefined, now: Hold, live: LiveInferenceService): boolean {
  if (before === undefined) return changedLastByOthers(live);
  // We took it back. By the times alone it could have been in the other order, within one second.
  if (now.fields === before.whole) return false;
  // Our own writes give it a new time, those of others do not; who takes everything, leaves no time at all.
  return now.time === before.time || now.time === "" || changedLastByOthers(live);
}

/**
 * Whether the newest change of the spec, labels or annotations, as `managedFields` tells it, may be somebody else's. Its
 * times have seconds: of two changes within one, either may have been the last, and a reconcile for nothing costs two
 * reads, where a change overlooked would stand until the next poll.
 */
export function changedLastByOthers(live: LiveInferenceService): boolean {
  const newest = newestFirst(live)[0];
  return newest !== undefined && !isOurs(newest);
}

/**
 * The fields of `desired` that are others' in the cluster, where they have another value, with who set them; and those
 * that are gone. What only has another form than we sent (`1000m` is kept as `1`) is still ours, and not among them.
 */
export function disputedFields(live: LiveInferenceService, desired: InferenceServiceObject): DisputedField[] {
  const others = newestFirst(live).filter(entry => !isOurs(entry));
  const { labels, annotations } = desired.metadata;
  const wanted = { spec: desired.spec, metadata: { labels, annotations } };
  return leavesOf(wanted, []).flatMap(({ path, value }) => {
    const there = valueAt(live, path);
    if (isDeepStrictEqual(there, value)) return [];
    const manager = others.find(({ fieldsV1 }) => isInSet(fieldsV1, live, path))?.manager;
    return manager === undefined && there !== undefined ? [] : [{ field: formatPath(path), manager }];
  });
}

/** The services, and what was disputed when one of them was last changed by an Apply of ours. */
export interface ServicesWithDisputes {
  readonly services: InferenceServices;
  /** By the InferenceService's name; empty when there never was any. */
  readonly disputedIn: (name: string) => readonly DisputedField[];
}

/** An Apply takes the fields back, and with them the trace of who had them: it is read before. */
export function rememberDisputes(services: InferenceServices): ServicesWithDisputes {
  const disputed = new BoundedCache<readonly DisputedField[]>(CAPACITY);
  return {
    services: {
      ...services,
      async apply(object, replaces) {
        const fields = replaces === undefined ? [] : disputedFields(replaces, object);
        const applied = await services.apply(object, replaces);
        if (fields.length > 0) disputed.set(object.metadata.name, fields);
        return applied;
      },
    },
    disputedIn: name => disputed.get(name) ?? [],
  };
}

function isOurs({ manager }: Pick<ManagedFieldsEntry, "manager">): boolean {
  return manager === FIELD_MANAGER;
}

/** The entries about what a service should be. Of those within one second, others' come first. */
function newestFirst(live: LiveInferenceService): ManagedFieldsEntry[] {
  return live.metadata.managedFields
    .filter(describesService)
    .sort((one, other) => other.time.localeCompare(one.time) || Number(isOurs(one)) - Number(isOurs(other)));
}

interface Leaf {
  readonly path: readonly string[];
  readonly value: unknown;
}

/** The values of an object; a list is one value. */
function leavesOf(value: unknown, path: readonly string[]): Leaf[] {
  if (value === undefined) return [];
  if (!isObject(value)) return [{ path, value }];
  return Object.entries(value).flatMap(([name, part]) => leavesOf(part, [...path, name]));
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
