import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

/** A request as it arrived. */
export interface ReceivedRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

export type FaultyAnswer = (request: ReceivedRequest, response: ServerResponse) => void;

export interface FaultServer {
  /** Without a slash at the end. */
  readonly url: string;
  readonly received: readonly ReceivedRequest[];
  /** Connections that were opened. */
  readonly connections: () => number;
}

/**
 * A real HTTP server on loopback that answers as the test says, gone with the test. For answers that the real MLflow and
 * the real API server cannot be made to give: sign-in pages, cut bodies, redirects, answers that never come.
 */
export async function startFaultServer(answer: FaultyAnswer): Promise<FaultServer> {
  const received: ReceivedRequest[] = [];
  let connections = 0;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks).toString("utf8");
      const arrived = { method: request.method ?? "", url: request.url ?? "", headers: request.headers, body };
      received.push(arrived);
      answer(arrived, response);
    });
  });
  server.on("connection", () => connections++);
  await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise(resolve => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, received, connections: () => connections };
}

/** Answers with JSON. */
export function json(status: number, body: unknown): FaultyAnswer {
  return text(status, "application/json", JSON.stringify(body));
}

export function text(status: number, contentType: string, body: string): FaultyAnswer {
  return (_, response) => {
    response.writeHead(status, { "content-type": contentType });
    response.end(body);
  };
}

/** Announces a long body, sends its beginning, and cuts the connection. */
export function cutInTheBody(beginning: string): FaultyAnswer {
  return (_, response) => {
    response.writeHead(200, { "content-type": "application/json", "content-length": "100000" });
    response.write(beginning, () => response.socket?.destroy());
  };
}

/** Takes the request and never answers. */
export const neverAnswers: FaultyAnswer = () => undefined;
