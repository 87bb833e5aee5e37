import { randomInt } from "node:crypto";
import { createServer } from "node:net";

// Below the range that Linux and macOS give to outgoing connections: a part that is stopped and started again must
// find its port still free.
const LOWEST = 15_000;
const HIGHEST = 32_000;

const given = new Set<number>();

/** Finds a free port on loopback that this process has not handed out before. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(LOWEST, HIGHEST);
    if (!given.has(port) && (await isFree(port))) {
      given.add(port);
      return port;
    }
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer();
    server.once("error", () => {
      resolve(false);
    });
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}
