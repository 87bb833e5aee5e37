import { waitFor } from "../support/waiting";

interface LiveObject {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: object; readonly annotations?: object };
  readonly spec?: object;
  readonly status?: unknown;
}

/**
 * What live objects are told to be, by kind and name: what is applied again without a change stays the same, whatever kubectl
 * says of empty fields, and whatever controllers write into statuses and an autoscaler into `replicas`.
 *
 * @param list what `kubectl get -o json` says: a list, or the one object that there is
 */
export function contentsOf(list: string): Record<string, unknown> {
  const read = JSON.parse(list) as LiveObject & { items?: LiveObject[] };
  return Object.fromEntries(
    (read.items ?? [read]).map(object => {
      const { name, labels, annotations } = object.metadata;
      const content = { ...object, metadata: { labels, annotations }, status: undefined };
      const spec = object.kind === "Deployment" ? { ...object.spec, replicas: undefined } : object.spec;
      return [`${object.kind} ${name}`, { ...content, spec }] as const;
    }),
  );
}

/** What is read twice in a row: controllers have written what they write. */
export async function settled<T>(read: () => Promise<T>): Promise<T> {
  let last: string | undefined;
  return await waitFor(
    "the end of all changes",
    async () => {
      const now = await read();
      const same = JSON.stringify(now) === last;
      last = JSON.stringify(now);
      return same ? now : undefined;
    },
    120_000,
  );
}
