import { isDeepStrictEqual } from "node:util";
import type { LiveInferenceService, ManagedFieldsEntry } from "./live-inference-service";

// The form of fieldsV1: https://pkg.go.dev/sigs.k8s.io/structured-merge-diff/v6/fieldpath#Set.ToJSON. A key is `.` (the
// object itself), `f:<name>` (a field), `k:<JSON>` (the item of a list with these key fields), `v:<JSON>` (the item of
// this value) or `i:<number>`; what has nothing below it is owned as a whole.

/** A set of fields in the form of `managedFields[].fieldsV1`. */
type FieldSet = Readonly<Record<string, unknown>>;

/** A step of a path into an object. */
type Step = string | number;

/** One field: the names that lead to it. */
export type FieldPath = readonly Step[];

/** A path as people write it: `spec.predictor.model.storageUri`, `metadata.annotations["a.b/c"]`. */
export function formatPath(path: FieldPath): string {
  return path
    .map((step, at) => {
      if (typeof step === "number") return `[${step}]`;
      if (!/^[A-Za-z_][\w-]*$/.test(step)) return `[${JSON.stringify(step)}]`;
      return at === 0 ? step : `.${step}`;
    })
    .join("");
}

/**
 * The fields that a manager has set by server-side apply and that an object does not have any more: what an Apply of the
 * object would take away.
 *
 * @param applied the object as it would be applied
 */
export function lostFields(live: LiveInferenceService, manager: string, applied: object): FieldPath[] {
  const lost: FieldPath[] = [];
  for (const { fieldsV1 } of appliedBy(live, manager)) collectLost(fieldsV1, applied, [], lost);
  return lost;
}

/** Whether a manager has ever applied the object. */
export function hasApplied(live: LiveInferenceService, manager: string): boolean {
  return appliedBy(live, manager).length > 0;
}

/** Whether a manager's last Apply to the object set a field, and nobody has given it another value since. */
export function owns(live: LiveInferenceService, manager: string, path: FieldPath): boolean {
  return appliedBy(live, manager).some(({ fieldsV1 }) => isInSet(fieldsV1, live, path));
}

/** Whether a set of fields of an object has one of them, something in it, or a whole that it is a part of. */
export function isInSet(fields: FieldSet, object: object, path: FieldPath): boolean {
  let [set, value]: [unknown, unknown] = [fields, object];
  for (const step of path) {
    if (!isSet(set) || !hasFields(set)) return isSet(set);
    const next = Object.entries(set).find(([key]) => key !== "." && follow(key, value).step === step);
    if (next === undefined) return false;
    value = follow(next[0], value).found;
    set = next[1];
  }
  return true;
}

/** What an object has at a path; undefined where it has nothing. */
export function valueAt(object: object, path: FieldPath): unknown {
  let value: unknown = object;
  for (const step of path) {
    if (!isContainer(value) || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<Step, unknown>)[step];
  }
  return value;
}

/**
 * Whether a spec has fields that nobody set by name: defaults of admission, and what admission made of a field that it
 * does not keep (KServe turns `predictor.sklearn` into `predictor.model`). Server-side apply never takes those away.
 *
 * @param applied what does not count, because it is going to be set anyway
 */
export function hasUnownedFields(live: LiveInferenceService, applied: unknown): boolean {
  const sets = live.metadata.managedFields
    .filter(({ subresource }) => subresource === "")
    .map(({ fieldsV1 }) => fieldsV1["f:spec"])
    .filter(isSet);
  return hasUnowned(live.spec, sets, applied);
}

function appliedBy(live: LiveInferenceService, manager: string): ManagedFieldsEntry[] {
  return live.metadata.managedFields.filter(
    entry => entry.manager === manager && entry.operation === "Apply" && entry.subresource === "",
  );
}

function collectLost(set: FieldSet, value: unknown, path: FieldPath, lost: FieldPath[]): void {
  for (const [key, below] of Object.entries(set)) {
    if (key === ".") continue;
    const { step, found } = follow(key, value);
    const here = [...path, step];
    if (found === undefined || (isSet(below) && hasFields(below) && !isContainer(found))) lost.push(here);
    else if (isSet(below) && hasFields(below)) collectLost(below, found, here, lost);
  }
}

function hasUnowned(value: unknown, sets: readonly FieldSet[], applied: unknown): boolean {
  if (!isContainer(value)) return false;
  return Object.entries(value).some(([name, below]) => {
    const theirs = isContainer(applied) ? (applied as Record<string, unknown>)[name] : undefined;
    const owners = sets
      .flatMap(set => Object.entries(set))
      .filter(([key]) => key !== "." && String(follow(key, value).step) === name)
      .map(([, owned]) => owned);
    if (owners.some(owned => !isSet(owned) || !hasFields(owned))) return false;
    const within = owners.filter(isSet);
    if (within.length === 0 && !isContainer(theirs)) return theirs === undefined && !isEmpty(below);
    return hasUnowned(below, within, theirs);
  });
}

/** Goes one step of a field set into a value; `found` is undefined where the value has nothing there. */
function follow(key: string, value: unknown): { readonly step: Step; readonly found: unknown } {
  const [kind, rest] = [key.slice(0, 2), key.slice(2)];
  if (kind === "f:") {
    const has = typeof value === "object" && value !== null && !Array.isArray(value) && Object.hasOwn(value, rest);
    return { step: rest, found: has ? (value as Record<string, unknown>)[rest] : undefined };
  }
  const list: readonly unknown[] = Array.isArray(value) ? value : [];
  if (kind === "i:") return { step: Number(rest), found: list[Number(rest)] };
  const wanted: unknown = JSON.parse(rest);
  const at = list.findIndex(item =>
    kind === "v:"
      ? isDeepStrictEqual(item, wanted)
      : isContainer(item) &&
        isContainer(wanted) &&
        Object.entries(wanted).every(([name, part]) => (item as Record<string, unknown>)[name] === part),
  );
  return { step: at === -1 ? rest : at, found: list[at] };
}

function isContainer(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function isSet(value: unknown): value is FieldSet {
  return isContainer(value) && !Array.isArray(value);
}

function hasFields(set: FieldSet): boolean {
  return Object.keys(set).some(key => key !== ".");
}

/** KServe's defaults leave empty texts and objects behind, which mean nothing. */
function isEmpty(value: unknown): boolean {
  return value === "" || value === null || (isContainer(value) && Object.values(value).every(isEmpty));
}
