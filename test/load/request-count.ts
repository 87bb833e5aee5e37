import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { ClientRequest } from "node:http";

/**
 * Requests that this process sent by Node's HTTP client, by the address (host and port) that they went to. Without
 * Kubernetes Events: those are sent one after the other, long after the poll that they tell about.
 */
export interface RequestCount {
  /** To be called with a base URL. */
  readonly sentTo: (url: string) => number;
  /** Counts no more. */
  readonly stop: () => void;
}

/** Counts at Node's own client, since a proxy that counts would take part in the time that is measured. */
export function countRequests(): RequestCount {
  const counts = new Map<string, number>();
  const count = (message: unknown): void => {
    const { request } = message as { readonly request: ClientRequest };
    if (request.method === "POST" && request.path.endsWith("/events")) return;
    const host = String(request.getHeader("host"));
    counts.set(host, (counts.get(host) ?? 0) + 1);
  };
  subscribe("http.client.request.start", count);
  return {
    sentTo: url => counts.get(new URL(url).host) ?? 0,
    stop: () => {
      unsubscribe("http.client.request.start", count);
    },
  };
}
