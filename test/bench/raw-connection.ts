import { connect } from "node:net";
import type { Socket } from "node:net";
import type { SignedRequest } from "./signed-delivery";

/** One connection that sends one request after the other, with so little work for us that the server is what is measured. */
export interface RawConnection {
  /** @returns the status @throws Error when the connection fails, or the answer has not its length in its head */
  readonly send: (request: Buffer) => Promise<number>;
  readonly close: () => void;
}

/** The bytes of a delivery, so that they need to be made only once. */
export function bytesOf({ headers, body }: SignedRequest): Buffer {
  const lines = Object.entries({ host: "module", ...headers, "content-length": body.length });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return Buffer.concat([Buffer.from(`POST /webhook HTTP/1.1\r\n${head}\r\n`), body]);
}

/** @param url plain HTTP, of a server that tells the length of each answer, as the module does */
export function openRawConnection(url: string): RawConnection {
  const { hostname, port } = new URL(url);
  let socket: Socket | undefined;
  let answered: ((status: number) => void) | undefined;
  let failed: ((error: Error) => void) | undefined;
  let received = "";

  const open = (): Socket => {
    const opened = connect({ host: hostname, port: Number(port), noDelay: true });
    opened.setEncoding("latin1");
    opened.on("data", (piece: string) => {
      received += piece;
      const end = received.indexOf("\r\n\r\n");
      if (end < 0) return;
      const length = /^content-length: (\d+)/im.exec(received)?.[1];
      if (length === undefined) {
        failed?.(new Error(`An answer without a length: ${received.slice(0, 200)}`));
        return;
      }
      if (received.length < end + 4 + Number(length)) return;
      const status = Number(received.slice(9, 12));
      received = "";
      answered?.(status);
    });
    const end = (): void => {
      if (socket !== opened) return;
      socket = undefined;
      failed?.(new Error("The connection was closed before an answer"));
    };
    opened.on("error", end);
    opened.on("close", end);
    return opened;
  };

  return {
    send: request =>
      new Promise<number>((resolve, reject) => {
        answered = resolve;
        failed = reject;
        socket ??= open();
        socket.write(request);
      }).finally(() => {
        answered = undefined;
        failed = undefined;
      }),
    close() {
      const last = socket;
      socket = undefined;
      last?.destroy();
    },
  };
}
