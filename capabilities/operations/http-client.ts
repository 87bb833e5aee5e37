import http from "node:http";
import https from "node:https";
import type { IncomingMessage } from "node:http";
import { messageOf } from "./logging";

export interface HttpRequest {
  readonly url: URL;
  readonly method: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly agent: http.Agent | https.Agent;
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
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "NoAnswerError";
  }
}

/**
 * Sends one request and reads the whole answer, of any status. Redirects are not followed. Node's own client, so that
 * each caller rules its connections by the agent it hands in.
 *
 * @throws NoAnswerError when the connection fails, the answer is cut short or too large, or the deadline passes
 */
export function sendRequest(request: HttpRequest): Promise<HttpAnswer> {
  const { url, method, headers, body, agent, deadline, maximumBodySize } = request;
  const { promise, resolve, reject } = promiseWithResolvers<HttpAnswer>();
  const client = url.protocol === "https:" ? https : http;
  const where = `${method} ${url.origin}${url.pathname}`;
  let sent: http.ClientRequest;
  try {
    sent = client.request(url, { method, headers: { ...headers }, agent });
  } catch (error) {
    // Node throws at once when a header holds a line end, or the protocol is not the agent's. Its message has no values.
    return Promise.reject(new NoAnswerError(`${where}: ${messageOf(error)}`, { cause: error }));
  }
  const timer = setTimeout(() => {
    const tooSlow = new NoAnswerError(`${where}: no complete answer within ${deadline} ms`);
    // A request that still waits for a connection of the agent tells of its end only when it gets one.
    fail(tooSlow);
    sent.destroy(tooSlow);
  }, deadline);
  const fail = (error: Error): void => {
    clearTimeout(timer);
    reject(
      error instanceof NoAnswerError ? error : new NoAnswerError(`${where}: ${reasonOf(error)}`, { cause: error }),
    );
  };
  sent.on("error", fail);
  sent.on("response", (answer: IncomingMessage) => {
    const chunks: Buffer[] = [];
    let size = 0;
    answer.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > maximumBodySize) {
        sent.destroy(new NoAnswerError(`${where}: the answer is larger than ${maximumBodySize} bytes`));
      }
    });
    answer.on("error", fail);
    answer.on("end", () => {
      clearTimeout(timer);
      resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks, size) });
    });
  });
  sent.end(body);
  return promise;
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
