import type { IncomingMessage } from "node:http";
import { GatheredBytes } from "../support/gathered-bytes";
import { busyAnswer, errorAnswer } from "./answers";
import type { JsonAnswer } from "./answers";

/** Bytes of a request's body that are read at the most; MLflow's events are below 10 KiB. */
export const MAXIMUM_BODY_SIZE = 1024 * 1024;

/** Bytes of the bodies of all requests under way: who has not the secret can fill this, but not the pod's memory. */
const MAXIMUM_TOTAL_SIZE = 32 * 1024 * 1024;

/** A body that is not taken; the answer says why. */
export class BodyError extends Error {
  constructor(readonly answer: JsonAnswer) {
    super(String(answer.body.message));
    this.name = "BodyError";
  }
}

/** The body of one request. */
export interface RequestBody {
  /** Reads it, once. @throws BodyError when it is too large, cut off, or one too many */
  readonly read: () => Promise<Buffer>;
  /** To be called when the request is answered. */
  readonly release: () => void;
}

/**
 * A function that makes bodies readable, all of them within one budget.
 *
 * @param maximumTotalSize bytes
 */
export function createBodyReader(maximumTotalSize = MAXIMUM_TOTAL_SIZE): (request: IncomingMessage) => RequestBody {
  let total = 0;
  return request => {
    let size = 0;
    const read = (resolve: (body: Buffer) => void, reject: (error: BodyError) => void): void => {
      const body = new GatheredBytes();
      const refuse = (answer: JsonAnswer): void => {
        request.pause();
        reject(new BodyError(answer));
      };
      request.on("data", (chunk: Buffer) => {
        size += chunk.length;
        total += chunk.length;
        if (size > MAXIMUM_BODY_SIZE) refuse(tooLarge());
        else if (total > maximumTotalSize) refuse(busyAnswer(503, "too many bodies are being received; try again", 1));
        else body.add(chunk);
      });
      request.on("end", () => {
        resolve(body.whole());
      });
      request.on("error", () => {
        reject(new BodyError(errorAnswer(400, "the body was cut off")));
      });
    };
    return {
      read: () =>
        Number(request.headers["content-length"] ?? 0) > MAXIMUM_BODY_SIZE
          ? Promise.reject(new BodyError(tooLarge()))
          : new Promise(read),
      release() {
        // What still comes is thrown away.
        request.removeAllListeners("data");
        total -= size;
        size = 0;
      },
    };
  };
}

function tooLarge(): JsonAnswer {
  return errorAnswer(413, `the body is larger than ${MAXIMUM_BODY_SIZE} bytes`);
}
