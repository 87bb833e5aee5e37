import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Log } from "../operations/logging";
import { messageOf } from "../operations/logging";

/** Bytes of a request's body that are read at the most; MLflow's events are below 10 KiB. */
export const MAXIMUM_BODY_SIZE = 1024 * 1024;

/** An answer; its body is sent as JSON. */
export interface JsonAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface HttpRequest {
  /** Lower-case names. */
  readonly header: (name: string) => string | undefined;
  readonly body: Buffer;
}

export type Handler = (request: HttpRequest) => Promise<JsonAnswer>;

/** Handlers by path and method. */
export type Routes = Readonly<Record<string, Readonly<Partial<Record<"GET" | "POST", Handler>>>>>;

export interface HttpServer {
  /** The port that it listens on. */
  readonly port: number;
  /** Takes no further connections and resolves when all requests under way are answered. */
  close: () => Promise<void>;
}

class BodyError extends Error {
  constructor(
    readonly status: 400 | 413,
    message: string,
  ) {
    super(message);
  }
}

/**
 * Serves the routes over HTTP. Whatever comes in is answered in JSON, and whatever a handler throws is logged and
 * answered 500 without details.
 *
 * @throws Error when the address cannot be listened on; the message says which and why
 */
export async function startHttpServer(options: {
  readonly host: string;
  readonly port: number;
  readonly routes: Routes;
  readonly log: Log;
}): Promise<HttpServer> {
  const { host, port, routes, log } = options;
  const server = createServer({ requestTimeout: 30_000, headersTimeout: 10_000 }, (request, response) => {
    respond(request, routes, log)
      .then(answer => {
        send(request, response, answer, server.listening);
      })
      .catch((error: unknown) => {
        // Here nothing may stay unhandled: it would end the process.
        log.error({ path: request.url, cause: messageOf(error) }, "An answer could not be sent");
        response.destroy();
      });
  });
  await listen(server, host, port);
  // A connection that cannot be accepted (no file descriptors left) must not end the process.
  server.on("error", error => {
    log.error({ cause: error.message }, "The endpoint could not take a connection");
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise(resolve => {
        server.close(() => {
          resolve();
        });
        server.closeIdleConnections();
      }),
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const refused = (error: NodeJS.ErrnoException): void => {
      const cure =
        error.code === "EADDRINUSE"
          ? "another process has it; stop that one or set MLFLOW_KSERVE_APP_PORT"
          : "check MLFLOW_KSERVE_APP_HOST and MLFLOW_KSERVE_APP_PORT";
      reject(new Error(`Cannot listen on ${host}:${port} (${error.code ?? error.message}): ${cure}`));
    };
    server.once("error", refused);
    server.listen(port, host, () => {
      server.off("error", refused);
      resolve();
    });
  });
}

async function respond(request: IncomingMessage, routes: Routes, log: Log): Promise<JsonAnswer> {
  try {
    return await route(request, routes);
  } catch (error) {
    if (error instanceof BodyError) return errorAnswer(error.status, error.message);
    log.error({ path: request.url, cause: messageOf(error) }, "A request failed unexpectedly");
    return errorAnswer(500, "internal error; the log has the details");
  }
}

function send(request: IncomingMessage, response: ServerResponse, answer: JsonAnswer, listening: boolean): void {
  if (response.destroyed) return;
  const text = JSON.stringify(answer.body);
  response.writeHead(answer.status, {
    "content-type": "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(text),
    // What was not read of a refused body would be taken for the next request. And a server that is being closed waits
    // for its connections: kept open, this one would hold it up for seconds after its last answer.
    ...(request.complete && listening ? {} : { connection: "close" }),
    ...answer.headers,
  });
  response.end(text);
}

async function route(request: IncomingMessage, routes: Routes): Promise<JsonAnswer> {
  const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
  const methods = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (methods === undefined)
    return errorAnswer(404, `there is nothing at this path; try ${Object.keys(routes).join(", ")}`);
  const method = request.method === "HEAD" ? "GET" : request.method;
  const handler = method === "GET" || method === "POST" ? methods[method] : undefined;
  if (handler === undefined) {
    const allowed = Object.keys(methods).join(", ");
    return { ...errorAnswer(405, `use ${allowed}`), headers: { allow: allowed.replace("GET", "GET, HEAD") } };
  }
  const body = await readBody(request);
  return await handler({
    header: name => {
      const value = request.headers[name];
      return Array.isArray(value) ? value.join(", ") : value;
    },
    body,
  });
}

function readBody(request: IncomingMessage): Promise<Buffer> {
  const tooLarge = new BodyError(413, `the body is larger than ${MAXIMUM_BODY_SIZE} bytes`);
  if (Number(request.headers["content-length"] ?? 0) > MAXIMUM_BODY_SIZE) return Promise.reject(tooLarge);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAXIMUM_BODY_SIZE) {
        request.pause();
        reject(tooLarge);
        return;
      }
      chunks.push(chunk);
    });
    request.on("end", () => {
      resolve(Buffer.concat(chunks, size));
    });
    request.on("error", () => {
      reject(new BodyError(400, "the body was cut off"));
    });
  });
}

/** An error in the form that every error of this server has. */
export function errorAnswer(status: number, message: string): JsonAnswer {
  return { status, body: { status: "error", message } };
}
