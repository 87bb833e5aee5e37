import { connect } from "node:net";
import type { ReceivedAnswer } from "../support/openapi";

/** Milliseconds without an answer after which our side is closed: what came so far was no whole request. */
const SILENCE = 20;

/** Milliseconds in which the server must close a connection that we have closed. */
const CLOSING = 20_000;

/**
 * Sends bytes over a connection of their own and closes our side once there is an answer or a silence.
 *
 * @returns all that came back until the server closed the connection
 * @throws Error when the server refuses the connection, or does not close it
 */
export async function exchange(port: number, pieces: readonly Buffer[]): Promise<Buffer> {
  return await new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, noDelay: true });
    const chunks: Buffer[] = [];
    let connected = false;
    const half = (): void => {
      socket.end();
    };
    const silence = setTimeout(half, SILENCE);
    const closing = setTimeout(() => {
      reject(new Error(`the connection was not closed within ${CLOSING / 1000} s`));
      socket.destroy();
    }, CLOSING);
    socket.on("connect", () => {
      connected = true;
      for (const piece of pieces) socket.write(piece);
      silence.refresh();
    });
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      silence.refresh();
      // One whole answer is mostly all there is; what is pipelined behind it gets its silence. And a server that says
      // that it closes listens on for a while to who is still sending: there is nothing to wait for.
      const answer = wholeAnswer(Buffer.concat(chunks));
      if (answer?.closing) socket.destroy();
      else if (answer !== undefined && pieces.length === 1) half();
    });
    // A server that refuses a body may close while it is still being sent; what it answered counts.
    socket.on("error", error => {
      if (!connected) reject(error);
    });
    socket.on("close", () => {
      clearTimeout(silence);
      clearTimeout(closing);
      resolve(Buffer.concat(chunks));
    });
  });
}

/** Whether what was received is exactly one answer, and the last on its connection. */
function wholeAnswer(received: Buffer): { readonly closing: boolean } | undefined {
  const text = received.toString("latin1");
  const body = text.indexOf("\r\n\r\n") + 4;
  const head = text.slice(0, body);
  const length = /^content-length: (\d+)\r$/im.exec(head)?.[1];
  if (body < 4 || length === undefined || text.length !== body + Number(length)) return undefined;
  return { closing: /^connection: close\r$/im.test(head) };
}

/**
 * The answers in what came back.
 *
 * @param bodiless there may be answers to HEAD, which have no body
 * @throws Error when it is not a row of well-formed HTTP answers: something that a client sent got into one
 */
export function answersIn(received: Buffer, bodiless: boolean): ReceivedAnswer[] {
  const answers: ReceivedAnswer[] = [];
  let rest = received.toString("latin1");
  while (rest !== "") {
    const head = /^HTTP\/1\.1 (\d{3}) [ -~]*\r\n((?:[a-zA-Z-]+: [^\r\n]*\r\n)*)\r\n/.exec(rest);
    if (head === null) throw new Error(`this is no HTTP answer: ${JSON.stringify(rest.slice(0, 500))}`);
    const [whole, status = "", lines = ""] = head;
    rest = rest.slice(whole.length);
    const headers: Record<string, string> = {};
    for (const line of lines.split("\r\n").slice(0, -1)) {
      const [name = ""] = line.split(":", 1);
      if (name.toLowerCase() in headers) throw new Error(`an answer has the header ${name} twice`);
      headers[name.toLowerCase()] = line.slice(name.length + 2);
    }
    if (status === "100") continue;
    const length = Number(headers["content-length"] ?? Number.NaN);
    if (Number.isNaN(length)) throw new Error(`an answer has no length: ${whole}`);
    // An answer to HEAD tells the length of what it leaves out.
    const empty = bodiless && (rest === "" || rest.startsWith("HTTP/1.1 "));
    if (!empty && rest.length < length) throw new Error(`an answer is cut off: ${whole}${rest}`);
    const text = empty ? "" : Buffer.from(rest.slice(0, length), "latin1").toString("utf8");
    rest = empty ? rest : rest.slice(length);
    answers.push({ status: Number(status), headers, text });
  }
  return answers;
}
