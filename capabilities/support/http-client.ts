import http from "node:http";
import https from "node:https";
import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { messageOf } from "../observability/logging";
import { basicAuthorization } from "./basic-authorization";
import { GatheredBytes } from "./gathered-bytes";

export interface HttpRequest {
  readonly url: URL;
  readonly method: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** How connections are made: to the URL's host, or to the proxy. */
  readonly agent: http.Agent | https.Agent;
  /**
   * A forward proxy that a request in plain HTTP is given to, with the whole URL as its target (RFC 9112, section 3.2.2). A
   * tunnel for HTTPS is the agent's.
   */
  readonly proxy?: URL | undefined;
  /** Milliseconds until the whole answer must be there. */
  readonly deadline: number;
  /** Bytes of the answer's body at which it is given up. */
  readonly maximumBodySize: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

/** No complete answer came back: nothing is known about what the server did with the request. */
export class NoAnswerError extends Error {
  /** The deadline passed; otherwise the connection failed, or the answer was too large. */
  readonly timedOut: boolean;

  constructor(message: string, options?: ErrorOptions & { readonly timedOut?: boolean }) {
    super(message, options);
    this.name = "NoAnswerError";
    this.timedOut = options?.timedOut === true;
  }
}

/**
 * Sends one request and reads the whole answer, of any status. Redirects are not followed. Node's own client, so that
 * each caller rules its connections by the agent it hands in.
 *
 * @throws NoAnswerError when the connection fails, the answer is cut short or too large, or the deadline passes
 */
export async function sendRequest(request: HttpRequest): Promise<HttpAnswer> {
  const start = performance.now();
  try {
    return await sendOnce(request);
  } catch (error) {
    // The server had closed the connection that was kept for us, as every server does after a while or when it restarts
    // (RFC 9112, section 9.3.1). It almost certainly did not see the request; POST, the one method of ours that must not
    // be done twice, is not sent again all the same.
    const left = request.deadline - (performance.now() - start);
    if (!(error instanceof ClosedConnectionError) || request.method === "POST" || left <= 0) throw error;
    return await sendRequest({ ...request, deadline: left });
  }
}

/** A kept connection was closed before one byte of the answer came. */
class ClosedConnectionError extends NoAnswerError {}

function sendOnce(request: HttpRequest): Promise<HttpAnswer> {
  const { url, method, headers, body, agent, proxy, deadline, maximumBodySize } = request;
  const { promise, resolve, reject } = promiseWithResolvers<HttpAnswer>();
  const client = (proxy ?? url).protocol === "https:" ? https : http;
  const where = `${method} ${url.origin}${url.pathname}`;
  let sent: http.ClientRequest;
  let answered = false;
  try {
    sent =
      proxy === undefined
        ? client.request(url, { method, headers: { ...headers }, agent })
        : client.request(proxy.origin, {
            ...{ method, agent, path: url.href, servername: serverName(proxy) },
            headers: { ...headers, ...headersFor(url, proxy) },
          });
  } catch (error) {
    // Node throws at once when a header holds a line end, or the protocol is not the agent's. Its message has no values.
    return Promise.reject(new NoAnswerError(`${where}: ${messageOf(error)}`, { cause: error }));
  }
  const timer = setTimeout(() => {
    const tooSlow = new NoAnswerError(`${where}: no complete answer within ${deadline} ms`, { timedOut: true });
    // A request that still waits for a connection of the agent tells of its end only when it gets one.
    fail(tooSlow);
    sent.destroy(tooSlow);
  }, deadline);
  const fail = (error: Error): void => {
    clearTimeout(timer);
    if (error instanceof NoAnswerError) {
      reject(error);
      return;
    }
    const Failure = sent.reusedSocket && !answered && isClosed(error) ? ClosedConnectionError : NoAnswerError;
    reject(new Failure(`${where}: ${reasonOf(error)}`, { cause: error }));
  };
  sent.on("error", fail);
  sent.on("response", (answer: IncomingMessage) => {
    answered = true;
    const received = new GatheredBytes();
    answer.on("data", (chunk: Buffer) => {
      received.add(chunk);
      if (received.length > maximumBodySize) {
        sent.destroy(new NoAnswerError(`${where}: the answer is larger than ${maximumBodySize} bytes`));
      }
    });
    answer.on("error", fail);
    answer.on("end", () => {
      clearTimeout(timer);
      resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: received.whole() });
    });
  });
  sent.end(body);
  return promise;
}

/** What the proxy's certificate is for; Node would take the Host header, which is about another server. */
function serverName({ hostname }: URL): string {
  return isIP(hostname.replace(/^\[|\]$/g, "")) === 0 ? hostname : "";
}

function headersFor(url: URL, proxy: URL): Record<string, string> {
  const authorization = basicAuthorization(proxy);
  return { host: url.host, ...(authorization === undefined ? {} : { "proxy-authorization": authorization }) };
}

function isClosed(error: Error & { code?: unknown }): boolean {
  return error.code === "ECONNRESET" || error.code === "EPIPE";
}

/** Some of Node's network errors (several addresses tried) have an empty message; their code says what happened. */
function reasonOf(error: Error & { code?: unknown }): string {
  if (error.message !== "") return error.message;
  return typeof error.code === "string" ? error.code : error.name;
}

function promiseWithResolvers<T>(): {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (reason: Error) => void;
} {
  let resolve!: (value: T) => void;
  let reject!: (reason: Error) => void;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
