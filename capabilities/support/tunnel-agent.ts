import http from "node:http";
import https from "node:https";
import { isIPv6 } from "node:net";
import type { Duplex } from "node:stream";
import { basicAuthorization } from "./basic-authorization";

export interface TunnelAgentOptions extends https.AgentOptions {
  /** The forward proxy, with user and password where it wants them. */
  readonly proxy: URL;
  /** What a proxy that is spoken with over TLS must have a certificate from. */
  readonly proxyTrust: Pick<https.RequestOptions, "ca" | "rejectUnauthorized">;
  /** Milliseconds until the proxy must have opened the tunnel. */
  readonly openWithin: number;
}

/** What Node hands in to be called with the connection, or the error alone. */
type Connected = (error: Error | null, connection: Duplex) => void;

/**
 * Connections to HTTPS servers through a forward proxy that opens tunnels (CONNECT: RFC 9110, section 9.3.6). Whatever the
 * proxy answers but 200 is an error of the connection and never an answer of the server. Libraries for it were tried: one
 * takes no IPv6 addresses and lets connections stay when the proxy never answers, another gives the proxy's refusal out as
 * the server's answer.
 */
export class TunnelAgent extends https.Agent {
  readonly #tunnel: TunnelAgentOptions;

  constructor(options: TunnelAgentOptions) {
    super(options);
    this.#tunnel = options;
  }

  /** Node's hook for it: https://nodejs.org/api/http.html#agentcreateconnectionoptions-callback */
  override createConnection(target: https.RequestOptions, callback?: Connected): undefined {
    const failed = callback as ((error: Error) => void) | undefined;
    const { proxy, proxyTrust, openWithin } = this.#tunnel;
    const authority = `${bracketed(target.host ?? "")}:${target.port ?? 443}`;
    const authorization = basicAuthorization(proxy);
    const client = proxy.protocol === "https:" ? https : http;
    const request = client.request(proxy.origin, {
      ...proxyTrust,
      method: "CONNECT",
      path: authority,
      agent: false,
      headers: { host: authority, ...(authorization === undefined ? {} : { "proxy-authorization": authorization }) },
    });
    const timer = setTimeout(() => {
      request.destroy(new Error(`the proxy opened no tunnel within ${openWithin} ms`));
    }, openWithin);
    request.once("error", error => {
      clearTimeout(timer);
      failed?.(error);
    });
    request.once("connect", ({ statusCode }, socket, more) => {
      clearTimeout(timer);
      // A server waits for our side of TLS to begin.
      if (statusCode === 200 && more.length === 0) {
        const secured = super.createConnection({ ...target, ...{ socket } });
        if (secured) callback?.(null, secured);
        return;
      }
      socket.destroy();
      const what = statusCode === 200 ? "more than an answer" : String(statusCode);
      const cure = statusCode === 407 ? ": it wants a user and password in its URL" : "";
      failed?.(new Error(`the proxy answered CONNECT with ${what}${cure}`));
    });
    request.end();
    return undefined;
  }
}

function bracketed(host: string): string {
  return isIPv6(host) ? `[${host}]` : host;
}
