/** A set of fields as `managedFields` writes it. */
export type FieldSet = Readonly<Record<string, unknown>>;

/** What a service is, as whoever sets it all has it. */
export const SPEC: FieldSet = { "f:spec": {} };

/** An entry of `managedFields`: who set what, at this second of a minute. */
export function managedEntry(manager: string, second: number, fieldsV1: FieldSet = SPEC, subresource = ""): object {
  const time = new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();
  return { manager, time, fieldsV1, ...(subresource === "" ? {} : { subresource }) };
}

/** Labels, annotations or finalizers: one of an object's metadata. */
export function inMetadata(field: "labels" | "annotations" | "finalizers", names: readonly string[] = ["a"]): FieldSet {
  return { "f:metadata": { [`f:${field}`]: Object.fromEntries(names.map(name => [`f:${name}`, {}])) } };
}
