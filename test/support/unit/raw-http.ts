import { connect } from "node:net";

/** What came back on a connection of its own: the raw text, until the server closed it. */
export async function sendRaw(port: number, ...pieces: readonly (string | Buffer)[]): Promise<string> {
  return await new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port });
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    // A server that refuses a body may close while it is still being sent; what it answered counts.
    socket.on("error", error => {
      if (chunks.length === 0) reject(error);
    });
    socket.on("close", () => {
      resolve(Buffer.concat(chunks).toString("utf8"));
    });
    for (const piece of pieces) socket.write(piece);
  });
}

/** The status codes of all answers in a raw text; one begins right where the body before it ends. */
export function statusesIn(raw: string): number[] {
  return [...raw.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(match => Number(match[1]));
}
