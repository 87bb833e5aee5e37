import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { expect, onTestFinished, vi } from "vitest";
import type { Answer } from "../../../capabilities/server/answers";
import { startHttpServer } from "../../../capabilities/server/http-server";
import type { HttpLimits, HttpServer } from "../../../capabilities/server/http-server";
import { deferred } from "./outcomes";
import { statusesIn } from "./raw-http";
import { recordingLog } from "./recording-log";
import type { RecordedLine } from "./recording-log";

/** Requests to paths of {@link startServer}'s. */
export const GET = "GET /services HTTP/1.1\r\nHost: x\r\n\r\n";
export const SLOW = "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n";
export const SLOW_PROBE = "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n";
export const PROBE = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";

/** The HTTP server with some handlers that tests need. */
export interface RunningServer {
  readonly server: HttpServer;
  readonly lines: readonly RecordedLine[];
  /** Requests to /slow and /readyz that wait for `release`. */
  readonly waiting: () => number;
  readonly release: () => void;
}

/** Starts a server for the time of the test. @param large what /large answers */
export async function startServer(limits: Partial<HttpLimits> = {}, large = Buffer.alloc(0)): Promise<RunningServer> {
  const { log, lines } = recordingLog();
  const gate = deferred<undefined>();
  let waiting = 0;
  const answer = (path: string) => () => Promise.resolve({ status: 200, body: { path } });
  const slow = async (): Promise<Answer> => {
    waiting++;
    await gate.promise;
    return { status: 200, body: {} };
  };
  const routes = {
    "/services": { GET: answer("/services") },
    "/livez": { GET: answer("/livez") },
    "/large": { GET: () => Promise.resolve({ status: 200, json: large }) },
    "/webhook": {
      POST: async ({ body }: { body: () => Promise<Buffer> }) => ({
        status: 200,
        body: { size: (await body()).length },
      }),
    },
    "/slow": { GET: slow },
    "/readyz": { GET: slow },
  };
  const server = await startHttpServer({ host: "127.0.0.1", port: 0, routes, log, limits });
  const release = (): void => {
    gate.resolve(undefined);
  };
  onTestFinished(async () => {
    release();
    await server.close();
  });
  return { server, lines, waiting: () => waiting, release };
}

/** One connection as its client has it. */
export interface Client {
  readonly socket: Socket;
  readonly received: () => string;
  readonly ended: Promise<void>;
}

/** Opens a connection for the time of the test. @param localAddress where it comes from */
export async function open(port: number, localAddress = "127.0.0.1"): Promise<Client> {
  const socket = connect({ host: "127.0.0.1", port, localAddress });
  let received = "";
  socket.on("data", (chunk: Buffer) => (received += chunk.toString("utf8")));
  socket.on("error", () => undefined);
  const ended = new Promise<void>(resolve => {
    socket.once("close", () => {
      resolve();
    });
  });
  onTestFinished(() => {
    socket.destroy();
  });
  await once(socket, "connect");
  return { socket, received: () => received, ended };
}

/** A connection on which one request was answered. */
export async function openAndAsk(port: number, text: string, status: number, localAddress?: string): Promise<Client> {
  const client = await open(port, localAddress);
  client.socket.write(text);
  await vi.waitFor(() => {
    expect(statusesIn(client.received())).toEqual([status]);
  });
  return client;
}
