import type { ServerResponse } from "node:http";
import { busyAnswer } from "./answers";
import type { WholeAnswer } from "./answers";

/** Bytes of a large answer; smaller ones are always sent, and connections are limited. */
const LARGE = 16 * 1024;

export interface UnsentLimits {
  /** Bytes of all answers that their clients have not taken yet. */
  readonly maximumUnsent: number;
  /** Milliseconds within which a client must have taken an answer, or its connection is cut. */
  readonly writeTimeout: number;
}

/** The answers that wait for their clients to take them. */
export interface UnsentAnswers {
  /** What is to be answered instead of a content of so many bytes; undefined when there is room for it. */
  readonly insteadOf: (size: number) => WholeAnswer | undefined;
  /** To be called with each answer before it is written. */
  readonly sending: (response: ServerResponse, size: number) => void;
}

/**
 * Bounds what waits to be written. A client that asks and does not read keeps its answers here, and over TLS each is a copy
 * of its own.
 */
export function createUnsentAnswers({ maximumUnsent, writeTimeout }: UnsentLimits): UnsentAnswers {
  let unsent = 0;
  return {
    insteadOf: size =>
      size >= LARGE && unsent + size > maximumUnsent
        ? busyAnswer(503, "too many answers wait for their clients to read them; try again", 1)
        : undefined,

    sending(response, size) {
      unsent += size;
      const { socket } = response;
      // Not the time since something moved: who takes a byte now and then would hold an answer for ever.
      const cut = setTimeout(() => socket?.destroy(), writeTimeout);
      cut.unref();
      response.once("close", () => {
        clearTimeout(cut);
        unsent -= size;
      });
    },
  };
}
