import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { IncomingMessage, RequestListener, Server, ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Log } from "../observability/logging";
import { messageOf } from "../observability/logging";
import { encode, errorAnswer } from "./answers";
import type { Answer, WholeAnswer } from "./answers";
import { LINGER, manageConnections } from "./connections";
import type { ConnectionLimits, Connections, Reception } from "./connections";
import { BodyError, createBodyReader } from "./request-body";
import { createStreams } from "./streams";
import type { StreamLimits } from "./streams";
import type { TlsFiles } from "./tls";
import { createUnsentAnswers } from "./unsent-answers";
import type { UnsentAnswers, UnsentLimits } from "./unsent-answers";

export interface HttpRequest {
  /** Goes back as `x-request-id`: MLflow's delivery id where it is a plain token, else one of our own. */
  readonly id: string;
  /** Lower-case names. */
  readonly header: (name: string) => string | undefined;
  readonly query: URLSearchParams;
  /** Reads the body, once. @throws BodyError, which may be left to the server to answer */
  readonly body: () => Promise<Buffer>;
  /** The server is being closed: nothing new should be begun. */
  readonly closing: boolean;
}

export type Handler = (request: HttpRequest) => Promise<Answer>;

/** Handlers by path and method. */
export type Routes = Readonly<Record<string, Readonly<Partial<Record<"GET" | "POST", Handler>>>>>;

export interface HttpServer {
  /** The address that it listens on. */
  readonly host: string;
  /** The port that it listens on. */
  readonly port: number;
  /** Takes no further connections and resolves when all requests under way are answered. */
  close: () => Promise<void>;
}

/** Times in milliseconds. */
export interface HttpLimits extends ConnectionLimits, UnsentLimits, StreamLimits {
  /** For the head of a request to arrive. */
  readonly headersTimeout: number;
  /** For all of a request to arrive. */
  readonly requestTimeout: number;
  /** For the next request on a connection to begin. */
  readonly keepAliveTimeout: number;
  /** Between two looks for connections that are over their time. */
  readonly connectionsCheckingInterval: number;
}

const LIMITS: HttpLimits = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  // Longer than the usual minute of proxies: or they would send into a connection that is just being closed.
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 2_000,
  maximumConnections: 1024,
  newcomerGrace: 1_000,
  closeGrace: 1_000,
  maximumUnsent: 16 * 1024 * 1024,
  writeTimeout: 10_000,
  maximumStreams: 32,
};

/** Connections that the kernel keeps until they are accepted: beyond them it lets a newcomer try again after a second. */
const BACKLOG = 4_096;

/** Milliseconds for the TLS handshake. */
const HANDSHAKE_TIMEOUT = 10_000;

/** Answered however busy the server is: a pod that is only busy must not be restarted. */
const PROBES: ReadonlySet<string> = new Set(["/livez", "/readyz"]);

/**
 * Serves the routes over HTTP, or HTTPS when a certificate is given. Whatever comes in is answered in JSON, and whatever
 * a handler throws is logged and answered 500 without details.
 *
 * @throws Error when the address cannot be listened on; the message says which and why
 */
export async function startHttpServer(options: {
  /** When undefined: `::`, which takes IPv6 and IPv4, and 0.0.0.0 on a machine without IPv6. */
  readonly host: string | undefined;
  readonly port: number;
  /** The setting that the port comes from, for who has to change it. */
  readonly portSetting?: "APP_PORT" | "OPERATIONS_PORT" | undefined;
  readonly routes: Routes;
  /** Said behind the paths that there are, to who asks for another one. */
  readonly elsewhere?: string | undefined;
  readonly log: Log;
  readonly tls?: TlsFiles | undefined;
  readonly limits?: Partial<HttpLimits> | undefined;
}): Promise<HttpServer> {
  const { host, port, portSetting = "APP_PORT", log, tls } = options;
  const limits = { ...LIMITS, ...options.limits };
  const bodyOf = createBodyReader();
  const unsent = createUnsentAnswers(limits);
  const streams = createStreams(limits);

  const listener: RequestListener = (request, response) => {
    const reception = connections.begin(request, response);
    if (reception.kind === "ignore") return;
    const id = requestIdOf(request);
    const body = bodyOf(request);
    const handled = { id, body: body.read, closing: connections.closing };
    respond(request, reception, options, handled)
      .finally(body.release)
      .then(answer => {
        if (connections.isOverrun(request)) return;
        const isRefusal = reception.kind === "refuse" && answer === reception.answer;
        const last = connections.closing || isRefusal;
        const whole = "stream" in answer ? streams.begin(request, response, answer, id) : answer;
        if (whole !== undefined) send(request, response, whole, { id, unsent, last });
      })
      .catch((error: unknown) => {
        // Here nothing may stay unhandled: it would end the process.
        log.error({ path: request.url, request_id: id, cause: messageOf(error) }, "An answer could not be sent");
        response.destroy();
      });
  };
  // A missing Host header is answered by us, in JSON.
  const settings = { ...limits, requireHostHeader: false };
  const secure = tls && createSecureServer({ ...settings, ...tls.pair, handshakeTimeout: HANDSHAKE_TIMEOUT }, listener);
  const server: Server = secure ?? createServer(settings, listener);
  const connections: Connections = manageConnections(server, tls !== undefined, limits, log);
  server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) => {
    const answer = errorAnswer(417, "no expectation but 100-continue can be met");
    if (connections.begin(request, response).kind === "ignore") return;
    send(request, response, answer, { id: requestIdOf(request), unsent, last: true });
  });
  server.on("tlsClientError", (error: Error) => {
    log.debug({ cause: error.message }, "A TLS handshake failed");
  });
  await listen(server, { host, port, portSetting });
  // A connection that cannot be accepted (no file descriptors left) must not end the process.
  server.on("error", error => {
    log.error({ cause: error.message }, "The endpoint could not take a connection");
  });
  const stopWatching = tls?.watch(pair => secure?.setSecureContext(pair));
  const { address, port: listening } = server.address() as AddressInfo;
  return {
    host: address,
    port: listening,
    close() {
      stopWatching?.();
      const closed = connections.close();
      streams.close();
      return closed;
    },
  };
}

interface Address {
  readonly host: string | undefined;
  readonly port: number;
  readonly portSetting: string;
}

function listen(server: Server, { host, port, portSetting }: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    const refused = (error: NodeJS.ErrnoException): void => {
      const cure =
        error.code === "EADDRINUSE"
          ? `another process has it; stop that one or set MLFLOW_KSERVE_${portSetting}`
          : `check MLFLOW_KSERVE_APP_HOST and MLFLOW_KSERVE_${portSetting}`;
      reject(
        new Error(
          `Cannot listen on ${host === undefined ? "port " : `${host}:`}${port} (${error.code ?? error.message}): ${cure}`,
        ),
      );
    };
    server.once("error", refused);
    server.listen({ port, host, backlog: BACKLOG }, () => {
      server.off("error", refused);
      resolve();
    });
  });
}

type Handled = Pick<HttpRequest, "id" | "body" | "closing">;

/** What is served, to everybody. */
interface Served {
  readonly routes: Routes;
  readonly elsewhere?: string | undefined;
  readonly log: Log;
}

async function respond(
  request: IncomingMessage,
  reception: Reception,
  served: Served,
  handled: Handled,
): Promise<Answer> {
  try {
    const [path, query] = targetOf(request.url ?? "/");
    if (reception.kind === "refuse" && !PROBES.has(path)) return reception.answer;
    return await route(request, path, query, served, handled);
  } catch (error) {
    if (error instanceof BodyError) return error.answer;
    const fields = { path: request.url, request_id: handled.id, cause: messageOf(error) };
    served.log.error(fields, "A request failed unexpectedly");
    return errorAnswer(500, "internal error; the log has the details");
  }
}

async function route(
  request: IncomingMessage,
  path: string,
  query: URLSearchParams,
  { routes, elsewhere }: Served,
  handled: Handled,
): Promise<Answer> {
  if (request.headers.host === undefined && request.httpVersion === "1.1")
    return errorAnswer(400, "the header Host is missing");
  const methods = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (methods === undefined) {
    // Those of the status page's parts are for the page alone.
    const named = Object.keys(routes).filter(known => !known.startsWith("/page/"));
    const paths = `there is nothing at this path; try ${named.join(", ")}`;
    return errorAnswer(404, elsewhere === undefined ? paths : `${paths}; ${elsewhere}`);
  }
  const method = request.method === "HEAD" ? "GET" : request.method;
  const handler = method === "GET" || method === "POST" ? methods[method] : undefined;
  if (handler === undefined) {
    const allowed = Object.keys(methods).join(", ");
    return { ...errorAnswer(405, `use ${allowed}`), headers: { allow: allowed.replace("GET", "GET, HEAD") } };
  }
  const header = (name: string): string | undefined => {
    const value = request.headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  };
  return await handler({ ...handled, header, query });
}

/** Path and query of a request; a proxy's form of it (`GET http://host/path`) has the host before it. */
function targetOf(url: string): [path: string, query: URLSearchParams] {
  const target = url.replace(/^https?:\/\/[^/?]*/i, "");
  const [path = ""] = target.split("?", 1);
  return [path === "" ? "/" : path, new URLSearchParams(target.slice(path.length))];
}

function requestIdOf(request: IncomingMessage): string {
  const deliveryId = request.headers["x-mlflow-delivery-id"];
  return typeof deliveryId === "string" && /^[A-Za-z0-9-]{1,128}$/.test(deliveryId) ? deliveryId : randomUUID();
}

interface Sending {
  readonly id: string;
  readonly unsent: UnsentAnswers;
  /** Nothing more is answered on the connection. */
  readonly last: boolean;
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  wanted: WholeAnswer,
  { id, unsent, last }: Sending,
): void {
  if (response.destroyed) return;
  const encoded = encode(wanted);
  const instead = unsent.insteadOf(Buffer.byteLength(encoded.content));
  const answer = instead ?? wanted;
  const { content, contentType } = instead === undefined ? encoded : encode(instead);
  const size = Buffer.byteLength(content);
  unsent.sending(response, size);
  response.writeHead(answer.status, {
    "content-type": contentType,
    "content-length": size,
    "x-request-id": id,
    // What was not read of a refused body would be taken for the next request. And a server that is being closed waits
    // for its connections: kept open, this one would hold it up for seconds after its last answer.
    ...(request.complete && !last ? {} : { connection: "close" }),
    ...answer.headers,
  });
  if (request.complete) {
    response.end(content);
    return;
  }
  // Who is still sending reads the answer only if the connection is not cut: what comes is thrown away for a while.
  response.write(content);
  request.resume();
  const end = (): void => {
    clearTimeout(lingering);
    response.end();
  };
  const lingering = setTimeout(end, LINGER);
  request.once("close", end);
}
