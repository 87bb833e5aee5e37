import { connect, createServer } from "node:net";
import type { NetConnectOpts, Socket } from "node:net";

/** A TCP port, or the path of a Unix socket, which unlike a port is the same in every network namespace. */
export type BridgeEnd = { readonly host: string; readonly port: number } | { readonly path: string };

export interface Bridge {
  /** Stops listening, and ends the connections. */
  readonly close: () => Promise<void>;
}

/** Listens at one end, and passes every connection on to the other. */
export async function bridge(from: BridgeEnd, to: BridgeEnd): Promise<Bridge> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, incoming => {
    const outgoing = connect({ ...to, allowHalfOpen: true } as NetConnectOpts);
    incoming.pipe(outgoing).pipe(incoming);
    const end = (): void => {
      incoming.destroy();
      outgoing.destroy();
    };
    open.add(incoming);
    incoming.on("close", () => open.delete(incoming));
    // An orderly end is passed on by the pipes, after all data.
    for (const socket of [incoming, outgoing]) socket.on("error", end);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(from, resolve);
  });
  return {
    async close() {
      for (const socket of open) socket.destroy();
      await new Promise(resolve => server.close(resolve));
    },
  };
}

/** An end as a text: a path, or host and port. */
export function parseBridgeEnd(text: string): BridgeEnd {
  if (text.startsWith("/")) return { path: text };
  const [host = "", port = ""] = text.split(":");
  return { host, port: Number(port) };
}
