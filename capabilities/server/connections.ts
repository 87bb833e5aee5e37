import { randomUUID } from "node:crypto";
import { STATUS_CODES } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Log } from "../observability/logging";
import { busyAnswer, encode, errorAnswer } from "./answers";
import type { JsonAnswer } from "./answers";

/**
 * Requests of one connection that are under way at once. HTTP/1.1 lets a client send the next before the last is
 * answered, and Node.js would take any number.
 */
const MAXIMUM_PIPELINED = 32;

/** Milliseconds between two log lines about refused connections: a flood of them must not flood the log. */
const LOG_INTERVAL = 60_000;

/** Milliseconds that a client which sent what was refused is still listened to, so that it can read the answer. */
export const LINGER = 500;

export interface ConnectionLimits {
  /**
   * Connections that are served. One more makes the server close those that are idle; if that is not enough, the
   * newcomer's requests are answered 503. Twice as many are never open: further ones are closed unanswered.
   */
  readonly maximumConnections: number;
  /** Milliseconds that a half-sent request may still take when the server is being closed. */
  readonly closeGrace: number;
}

/** The connections of a server, and what is under way on them. */
export interface Connections {
  readonly closing: boolean;
  /** To be called with each request first. An answer, if any, is what the request gets instead of being handled. */
  begin: (request: IncomingMessage, response: ServerResponse) => JsonAnswer | undefined;
  /** Takes no further connections; resolves when the last has ended. */
  close: () => Promise<void>;
}

interface Connection {
  readonly underWay: Map<IncomingMessage, ServerResponse>;
  surplus: boolean;
  /** Something that is no request came; what comes behind it is not looked at. */
  garbled: boolean;
  /** Called when one of its answers has been sent. */
  answered: () => void;
}

/** Looks after a server's connections: too many, garbled, silent, or left over when the server closes. */
export function manageConnections(server: Server, secure: boolean, limits: ConnectionLimits, log: Log): Connections {
  const open = new Map<Duplex, Connection>();
  let closing = false;
  let lastClosed = (): void => undefined;
  const refused = refusalLog(log, limits.maximumConnections);

  server.maxConnections = 2 * limits.maximumConnections;
  server.on("drop", refused);
  server.on(secure ? "secureConnection" : "connection", (socket: Duplex) => {
    open.set(socket, {
      underWay: new Map(),
      surplus: open.size >= limits.maximumConnections,
      garbled: false,
      answered: () => undefined,
    });
    if (open.size > limits.maximumConnections) server.closeIdleConnections();
    socket.once("close", () => {
      open.delete(socket);
      if (open.size === 0) lastClosed();
    });
  });

  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    const connection = open.get(socket);
    if (connection === undefined || !socket.writable || error.code === "ECONNRESET") {
      socket.destroy();
      return;
    }
    if (connection.garbled) return;
    connection.garbled = true;
    const refuse = (): void => {
      const requests = [...connection.underWay];
      // Answers come in the order of the requests: those before the garbled one are first.
      if (requests.some(([request]) => request.complete)) return;
      connection.answered = () => undefined;
      if (requests.some(([, response]) => response.headersSent)) socket.destroy();
      else answerRaw(socket, problemOf(error));
    };
    connection.answered = refuse;
    refuse();
  });

  // No proxy: without this the connection would be cut without an answer.
  server.on("connect", (_request, socket) => {
    answerRaw(socket, errorAnswer(405, "this is no proxy"));
  });

  return {
    get closing() {
      return closing;
    },

    begin(request, response) {
      const connection = open.get(request.socket);
      if (connection === undefined) return undefined;
      connection.underWay.set(request, response);
      response.once("close", () => {
        connection.underWay.delete(request);
        connection.answered();
      });
      if (connection.underWay.size > MAXIMUM_PIPELINED)
        return busyAnswer(503, "too many requests on one connection before their answers", 1);
      connection.surplus &&= open.size > limits.maximumConnections;
      if (!connection.surplus) return undefined;
      refused();
      return busyAnswer(503, "too many connections; try again", 1);
    },

    close() {
      closing = true;
      const closed = new Promise<void>(resolve => (lastClosed = resolve));
      server.close();
      if (open.size === 0) lastClosed();
      // Node.js stops looking for silent connections when a server closes: one of them would hold it up for ever.
      const grace = setTimeout(() => {
        for (const [socket, { underWay }] of open) {
          if (![...underWay.keys()].some(request => request.complete)) socket.destroy();
        }
      }, limits.closeGrace);
      return closed.finally(() => {
        clearTimeout(grace);
      });
    },
  };
}

/** What the parser found, for the client. */
function problemOf({ code = "" }: NodeJS.ErrnoException): JsonAnswer {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return errorAnswer(431, "the headers are larger than 16 KiB");
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return errorAnswer(413, "the chunk extensions are too large");
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return errorAnswer(408, "the request was not received in time");
    default:
      return errorAnswer(400, "this is not HTTP/1.1");
  }
}

/** Answers where there is no request to answer, and ends the connection. */
function answerRaw(socket: Duplex, answer: JsonAnswer): void {
  const { text, contentType } = encode(answer);
  const head = [
    `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status] ?? ""}`,
    `content-type: ${contentType}`,
    `content-length: ${Buffer.byteLength(text)}`,
    `x-request-id: ${randomUUID()}`,
    "connection: close",
  ];
  socket.on("error", () => socket.destroy());
  socket.end(`${head.join("\r\n")}\r\n\r\n${text}`);
  // Closed at once, with something unread, the kernel would reset the connection and the answer could be lost.
  setTimeout(() => socket.destroy(), LINGER).unref();
}

function refusalLog(log: Log, limit: number): () => void {
  let refused = 0;
  let toldAt = -Infinity;
  return () => {
    refused++;
    if (performance.now() - toldAt < LOG_INTERVAL) return;
    log.warn({ refused, limit }, "More connections than can be served were refused");
    toldAt = performance.now();
    refused = 0;
  };
}
