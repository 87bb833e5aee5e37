import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";

/** What its HTTP parser has: not documented, but the same since Node.js 0.12. */
interface ParsedSocket {
  readonly parser?: { onIncoming?: ((request: IncomingMessage, keepAlive: boolean) => number) | null } | null;
}

/** What the parser takes as: another protocol follows, nothing more is to be read here. */
const NO_MORE = 2;

/**
 * Has the parser of a connection stop behind the request at which `isOver` becomes true. Otherwise it would make two objects
 * of each request that came in the same piece, and tell of it, before anybody else has a turn; where Node.js has no such
 * parser, it still does.
 */
export function stopParsingWhen(socket: Duplex, isOver: () => boolean): void {
  const { parser } = socket as ParsedSocket;
  const onIncoming = parser?.onIncoming;
  if (!parser || typeof onIncoming !== "function") return;
  parser.onIncoming = (request, keepAlive) => {
    const told = onIncoming.call(parser, request, keepAlive);
    return isOver() ? NO_MORE : told;
  };
}
