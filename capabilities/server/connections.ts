import { randomUUID } from "node:crypto";
import { STATUS_CODES } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Log } from "../observability/logging";
import { busyAnswer, encode, errorAnswer } from "./answers";
import type { JsonAnswer } from "./answers";
import { letNewcomersTakeTurns } from "./newcomers";
import { stopParsingWhen } from "./parser";
import { createPlaces } from "./places";
import type { Occupant, PlaceLimits } from "./places";

/**
 * Requests of one connection that are under way at once. HTTP/1.1 lets a client send the next before the last is
 * answered, and Node.js would take any number. MLflow never does, nor does any proxy that is in use.
 */
const MAXIMUM_PIPELINED = 2;

/** The one answer on a connection with more. */
const OVERRUN = busyAnswer(503, "too many requests on one connection before their answers", 1);

/** Milliseconds between two log lines of a kind: a flood of connections must not flood the log. */
const LOG_INTERVAL = 60_000;

/** Milliseconds that a client which sent what was refused is still listened to, so that it can read the answer. */
export const LINGER = 500;

export interface ConnectionLimits extends PlaceLimits {
  /** Milliseconds that a half-sent request may still take when the server is being closed. */
  readonly closeGrace: number;
}

/** What is to become of a request: it is handled, refused, or ignored since nothing is answered on its connection any more. */
export type Reception =
  | { readonly kind: "handle" | "ignore" }
  | { readonly kind: "refuse"; readonly answer: JsonAnswer };

/** The connections of a server, and what is under way on them. */
export interface Connections {
  readonly closing: boolean;
  /** To be called with each request first. */
  begin: (request: IncomingMessage, response: ServerResponse) => Reception;
  /** Whether nothing may be answered to a request any more, since too many came with it. */
  isOverrun: (request: IncomingMessage) => boolean;
  /** Takes no further connections; resolves when the last has ended. */
  close: () => Promise<void>;
}

interface Connection extends Occupant {
  /** Of TCP, also where TLS is spoken over it. */
  readonly socket: Socket;
  readonly underWay: Map<IncomingMessage, ServerResponse>;
  /** Requests that came on it. */
  requests: number;
  /** Too many requests came at once: it is being cut, and nothing is answered on it any more. */
  overrun: boolean;
  surplus: boolean;
  /** Something that is no request came; what comes behind it is not looked at. */
  garbled: boolean;
  /** Called when one of its answers has been sent. */
  answered: () => void;
}

/** Looks after a server's connections: too many, garbled, silent, or left over when the server closes. */
export function manageConnections(server: Server, secure: boolean, limits: ConnectionLimits, log: Log): Connections {
  const { maximumConnections } = limits;
  const open = createPlaces<Connection>(limits);
  const connectionOf = new WeakMap<Duplex, Connection>();
  let closing = false;
  let lastClosed = (): void => undefined;
  const refused = countedLog(log, "refused", maximumConnections, "More connections than can be served were refused");
  const silenced = countedLog(log, "closed", maximumConnections, "Silent connections were closed to make room");

  const forget = (connection: Connection): void => {
    open.forget(connection);
    if (open.size === 0) lastClosed();
  };

  const makeRoomFor = (newcomer: Connection): void => {
    const { closes, refused: isRefused } = open.opened(newcomer);
    if (closes?.requests === 0) silenced();
    closes?.socket.destroy();
    if (!isRefused) return;
    refused();
    newcomer.socket.destroy();
    forget(newcomer);
  };

  server.on("connection", (socket: Socket) => {
    const connection: Connection = {
      socket,
      openedAt: performance.now(),
      underWay: new Map(),
      requests: 0,
      overrun: false,
      surplus: false,
      garbled: false,
      answered: () => undefined,
    };
    connectionOf.set(socket, connection);
    socket.once("close", () => {
      forget(connection);
    });
    makeRoomFor(connection);
  });
  if (secure) relateSecureSockets(server, connectionOf);
  server.on(secure ? "secureConnection" : "connection", (socket: Socket) => {
    const connection = connectionOf.get(socket);
    if (connection !== undefined) stopParsingWhen(socket, () => connection.overrun);
  });
  const newcomers = letNewcomersTakeTurns(server, secure);

  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    const connection = connectionOf.get(socket);
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
      const connection = connectionOf.get(request.socket);
      if (connection === undefined) return { kind: "handle" };
      if (connection.overrun) return { kind: "ignore" };
      if (++connection.requests === 1) {
        const { closes, refused: isRefused } = open.spoke(connection);
        closes?.socket.destroy();
        connection.surplus = isRefused;
      }
      connection.underWay.set(request, response);
      response.once("close", () => {
        connection.underWay.delete(request);
        connection.answered();
      });
      if (connection.underWay.size > MAXIMUM_PIPELINED) {
        connection.overrun = true;
        newcomers.misbehaved(connection.socket.remoteAddress);
        // Requests that came together are read in one go, before anything is answered to the first of them: so who sends
        // too many costs neither a page nor the bytes of it.
        if ([...connection.underWay.values()].some(({ headersSent }) => headersSent)) request.socket.destroy();
        else answerRaw(request.socket, OVERRUN, 0);
        return { kind: "ignore" };
      }
      connection.surplus &&= open.areTooMany();
      if (!connection.surplus) return { kind: "handle" };
      refused();
      return { kind: "refuse", answer: busyAnswer(503, "too many connections; try again", 1) };
    },

    isOverrun: request => connectionOf.get(request.socket)?.overrun ?? false,

    close() {
      closing = true;
      const closed = new Promise<void>(resolve => (lastClosed = resolve));
      server.close();
      if (open.size === 0) lastClosed();
      // Node.js stops looking for silent connections when a server closes: one of them would hold it up for ever.
      const grace = setTimeout(() => {
        for (const { socket, underWay } of open.all()) {
          if (![...underWay.keys()].some(request => request.complete)) socket.destroy();
        }
      }, limits.closeGrace);
      return closed.finally(() => {
        clearTimeout(grace);
      });
    },
  };
}

/** Requests come on the socket of TLS, which Node.js makes of the one of TCP without telling which. */
function relateSecureSockets(server: Server, connectionOf: WeakMap<Duplex, Connection>): void {
  const shaking = new Map<string, Connection>();
  server.on("connection", (socket: Socket) => {
    const [addresses, connection] = [addressesOf(socket), connectionOf.get(socket)];
    if (connection === undefined) return;
    shaking.set(addresses, connection);
    socket.once("close", () => {
      if (shaking.get(addresses) === connection) shaking.delete(addresses);
    });
  });
  server.on("secureConnection", (socket: Socket) => {
    const connection = shaking.get(addressesOf(socket));
    if (connection !== undefined) connectionOf.set(socket, connection);
  });
}

function addressesOf({ localAddress, localPort, remoteAddress, remotePort }: Socket): string {
  return [localAddress, localPort, remoteAddress, remotePort].join(" ");
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

/**
 * Answers where there is no request to answer, and ends the connection.
 *
 * @param linger milliseconds that the client is still listened to, after its answer was written
 */
function answerRaw(socket: Duplex, answer: JsonAnswer, linger = LINGER): void {
  const { content, contentType } = encode(answer);
  const head = [
    `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status] ?? ""}`,
    `content-type: ${contentType}`,
    `content-length: ${Buffer.byteLength(content)}`,
    `x-request-id: ${randomUUID()}`,
    "connection: close",
    ...Object.entries(answer.headers ?? {}).map(([name, value]) => `${name}: ${value}`),
  ];
  socket.on("error", () => socket.destroy());
  socket.end(`${head.join("\r\n")}\r\n\r\n${content.toString()}`, () => {
    if (linger === 0) socket.destroy();
  });
  // Closed at once, with something unread, the kernel would reset the connection and the answer could be lost.
  setTimeout(() => socket.destroy(), LINGER).unref();
}

/** A function that counts, and logs the count at most once in a while. */
function countedLog(log: Log, field: string, limit: number, message: string): () => void {
  let count = 0;
  let toldAt = -Infinity;
  return () => {
    count++;
    if (performance.now() - toldAt < LOG_INTERVAL) return;
    log.warn({ [field]: count, limit }, message);
    toldAt = performance.now();
    count = 0;
  };
}
