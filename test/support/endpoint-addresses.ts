import { afterEach, inject } from "vitest";
import { followObjects } from "./followed-objects";
import type { FollowedObject } from "./followed-objects";

/** As much of an EndpointSlice as says who gets the requests to a Service. */
interface EndpointSlice extends FollowedObject {
  readonly metadata: FollowedObject["metadata"] & { readonly labels?: Readonly<Record<string, string>> };
  readonly ports?: readonly { readonly port?: number }[];
  readonly endpoints?:
    | readonly { readonly addresses: readonly string[]; readonly conditions: { readonly ready?: boolean } }[]
    | null;
}

/** Where the requests to Services go, as a watch of their EndpointSlices tells: no moment is overlooked. */
export interface EndpointAddresses {
  /** The addresses, each with its port, that get requests to a Service now. */
  readonly of: (service: string) => readonly string[];
  /** Waits until requests to one Service go where those to another do. Timeout in milliseconds. */
  readonly untilSame: (service: string, as: string, timeout: number) => Promise<void>;
  /** How often a Service that had addresses had none. */
  readonly gapsOf: (service: string) => number;
}

const stops: (() => void)[] = [];

// Runs after each test of a file that imports this one.
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

/** Follows the EndpointSlices of a namespace until the test has ended. */
export async function followAddresses(namespace: string): Promise<EndpointAddresses> {
  const gaps = new Map<string, number>();
  const hadAddresses = new Set<string>();
  const addressesIn = (objects: ReadonlyMap<string, EndpointSlice>, service: string): string[] =>
    [...objects.values()]
      .filter(({ metadata }) => metadata.labels?.["kubernetes.io/service-name"] === service)
      .flatMap(({ endpoints, ports = [] }) =>
        (endpoints ?? [])
          .filter(({ conditions }) => conditions.ready !== false)
          .flatMap(({ addresses }) => addresses.map(address => `${address}:${ports[0]?.port ?? 0}`)),
      )
      .sort();
  const path = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
  const followed = await followObjects<EndpointSlice>(inject("kubeconfig"), path, objects => {
    const services = new Set(
      [...objects.values()].map(({ metadata }) => metadata.labels?.["kubernetes.io/service-name"]),
    );
    for (const service of new Set([...services, ...hadAddresses])) {
      if (service === undefined) continue;
      if (addressesIn(objects, service).length > 0) hadAddresses.add(service);
      else if (hadAddresses.delete(service)) gaps.set(service, (gaps.get(service) ?? 0) + 1);
    }
  });
  stops.push(followed.stop);
  const isSame = (objects: ReadonlyMap<string, EndpointSlice>, service: string, as: string): boolean => {
    const wanted = addressesIn(objects, as);
    return wanted.length > 0 && JSON.stringify(addressesIn(objects, service)) === JSON.stringify(wanted);
  };
  return {
    of: service => addressesIn(followed.objects, service),
    untilSame: (service, as, timeout) =>
      followed.until(`${service} leads where ${as} does`, objects => isSame(objects, service, as), timeout),
    gapsOf: service => gaps.get(service) ?? 0,
  };
}
