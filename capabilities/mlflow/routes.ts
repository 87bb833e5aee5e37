import http from "node:http";
import https from "node:https";
import type { HttpRequest } from "../support/http-client";
import { TunnelAgent } from "../support/tunnel-agent";
import type { MlflowAccess, MlflowProxy } from "./access";

/** How a call of MLflow gets there. */
export type Route = Pick<HttpRequest, "agent" | "proxy">;

/** Milliseconds that a proxy may take to open a tunnel; a call that waits for it has its own deadline. */
const TUNNEL_TIMEOUT = 10_000;

/**
 * Over plain HTTP every call gets a fresh connection: MLflow's server writes an answer in two pieces, and on a kept
 * connection the second waits some 40 ms for the kernel's delayed acknowledgement of the first. Over TLS a new
 * connection costs more than that is worth, and what ends TLS usually joins the pieces.
 *
 * A proxy gets calls in plain HTTP whole, since many open tunnels to port 443 alone; to HTTPS it opens one.
 *
 * @param freshConnections over TLS too, every call gets a connection of its own
 * @returns the route for how MLflow is called now
 */
export function createRoutes(base: URL, freshConnections: boolean): (access: MlflowAccess) => Route {
  let current:
    | { readonly tls: MlflowAccess["tls"]; readonly proxy: MlflowAccess["proxy"]; readonly route: Route }
    | undefined;
  return ({ tls, proxy }) => {
    // Connections that were made with the former certificates end by themselves when they are idle.
    if (current?.tls !== tls || current.proxy !== proxy) {
      current = { tls, proxy, route: routeTo(base, { tls, proxy }, freshConnections) };
    }
    return current.route;
  };
}

function routeTo(base: URL, { tls, proxy }: MlflowAccess, freshConnections: boolean): Route {
  const trust = {
    rejectUnauthorized: tls.insecure !== true,
    ...(tls.certificates === undefined ? {} : { ca: tls.certificates }),
  };
  const secure = {
    ...{ ...trust, keepAlive: !freshConnections },
    ...(tls.clientCertificate === undefined ? {} : { cert: tls.clientCertificate, key: tls.clientCertificate }),
  };
  const proxyUrl = proxy === undefined ? undefined : new URL(proxy.url);
  if (base.protocol === "https:") {
    if (proxyUrl === undefined) return { agent: new https.Agent(secure) };
    return { agent: new TunnelAgent({ ...secure, proxy: proxyUrl, proxyTrust: trust, openWithin: TUNNEL_TIMEOUT }) };
  }
  const agent =
    proxyUrl?.protocol === "https:"
      ? new https.Agent({ ...trust, keepAlive: false })
      : new http.Agent({ keepAlive: false });
  return { agent, proxy: proxyUrl };
}

/** A proxy as it may be shown: without user and password. */
export function shownProxy({ url, variable }: MlflowProxy): string {
  return `${new URL(url).origin} (${variable})`;
}
