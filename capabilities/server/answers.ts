import { withoutSecrets } from "../support/foreign-text";

/** An answer; its body is sent as JSON. */
export interface JsonAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer that is sent as it is. */
export interface TextAnswer {
  readonly status: number;
  readonly text: string;
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer that is JSON already, in bytes that several may share. */
export interface RenderedAnswer {
  readonly status: number;
  readonly json: Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer in bytes of another type. */
export interface BytesAnswer {
  readonly status: number;
  readonly bytes: Buffer;
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer that is all there when it is given. */
export type WholeAnswer = JsonAnswer | TextAnswer | RenderedAnswer | BytesAnswer;

/** What an answer that goes on is written to. */
export interface StreamWriter {
  /** Sends a text; nothing after the end. */
  readonly write: (text: string) => void;
  /** Bytes that were written and wait for the client to take them. */
  readonly unsent: () => number;
  readonly end: () => void;
  /** Ends it at once, without what the client has not taken yet. */
  readonly cut: () => void;
}

/**
 * An answer that goes on until its client leaves, its writer ends it or the server is closed. No more than some dozens are
 * given at once; the next one is answered 503.
 */
export interface StreamAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Begins it, with its head sent. @returns what is called when it has ended, whoever ended it */
  readonly stream: (writer: StreamWriter) => () => void;
}

export type Answer = WholeAnswer | StreamAnswer;

const JSON_TYPE = "application/json; charset=utf-8";

/** An error in the form that every error of this server has, {@link withoutSecrets}: anybody may read it. */
export function errorAnswer(status: number, message: string): JsonAnswer {
  return { status, body: { status: "error", message: withoutSecrets(message) } };
}

/** An error that goes away by itself. @param seconds after which to try again */
export function busyAnswer(status: 429 | 503, message: string, seconds: number): JsonAnswer {
  return { ...errorAnswer(status, message), headers: { "retry-after": String(seconds) } };
}

/** What is answered while the server is being closed; by then another replica has taken over. */
export function shuttingDown(): JsonAnswer {
  return busyAnswer(503, "the module is shutting down", 5);
}

/** What the readiness probe is answered until all parts of the module are up. */
export function starting(): JsonAnswer {
  return busyAnswer(503, "the module is starting: Pepr's part of it is not up yet", 1);
}

/** The content of an answer, and what it is. */
export interface Encoded {
  readonly content: string | Buffer;
  readonly contentType: string;
}

export function encode(answer: WholeAnswer): Encoded {
  if ("text" in answer) return { content: answer.text, contentType: answer.contentType };
  if ("bytes" in answer) return { content: answer.bytes, contentType: answer.contentType };
  if ("json" in answer) return { content: answer.json, contentType: JSON_TYPE };
  return { content: JSON.stringify(answer.body), contentType: JSON_TYPE };
}
