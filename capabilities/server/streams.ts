import type { IncomingMessage, ServerResponse } from "node:http";
import { busyAnswer, shuttingDown } from "./answers";
import type { StreamAnswer, WholeAnswer } from "./answers";
import { LINGER } from "./connections";

/** Seconds after which to ask again when all streams are taken. */
const BUSY_RETRY_AFTER = 10;

export interface StreamLimits {
  /** Answers that go on, at once: each holds a connection for as long as its client likes. */
  readonly maximumStreams: number;
}

/** The answers of a server that go on. */
export interface Streams {
  /**
   * Sends the head of an answer, and lets it go on.
   *
   * @returns what is to be answered instead; undefined when it has begun, or there is nobody left to answer
   */
  readonly begin: (
    request: IncomingMessage,
    response: ServerResponse,
    answer: StreamAnswer,
    id: string,
  ) => WholeAnswer | undefined;
  /** Ends them all, and lets none begin any more. */
  readonly close: () => void;
}

/** Keeps few answers going at once, and none beyond the server's end: it waits for its connections. */
export function createStreams({ maximumStreams }: StreamLimits): Streams {
  const open = new Set<ServerResponse>();
  let closing = false;

  const end = (response: ServerResponse): void => {
    response.end();
    // Who has stopped reading would not let it end.
    setTimeout(() => response.destroy(), LINGER).unref();
  };

  return {
    begin(request, response, answer, id) {
      if (response.destroyed) return undefined;
      if (closing) return shuttingDown();
      if (open.size >= maximumStreams)
        return busyAnswer(503, `${maximumStreams} streams are open already; try again`, BUSY_RETRY_AFTER);
      response.writeHead(answer.status, {
        "content-type": answer.contentType,
        "x-request-id": id,
        // Nothing else is asked on its connection, which ends with it.
        connection: "close",
        ...answer.headers,
      });
      if (request.method === "HEAD") {
        response.end();
        return undefined;
      }
      response.flushHeaders();
      open.add(response);
      // A body that nobody reads would hold up what comes behind it, and with it the news that the client left.
      request.resume();
      const ended = answer.stream({
        write(text) {
          if (!response.writableEnded && !response.destroyed) response.write(text);
        },
        unsent: () => response.writableLength,
        end() {
          end(response);
        },
        cut() {
          response.destroy();
        },
      });
      response.once("close", () => {
        open.delete(response);
        ended();
      });
      return undefined;
    },

    close() {
      closing = true;
      for (const response of open) end(response);
    },
  };
}
