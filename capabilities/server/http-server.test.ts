import { once } from "node:events";
import http from "node:http";
import { connect } from "node:net";
import { networkInterfaces } from "node:os";
import { describe, expect, it, onTestFinished } from "vitest";
import { deferred, rejectionOf } from "../../test/support/unit/outcomes";
import { sendRaw, statusesIn } from "../../test/support/unit/raw-http";
import { recordingLog } from "../../test/support/unit/recording-log";
import type { RecordedLine } from "../../test/support/unit/recording-log";
import { startHttpServer } from "./http-server";
import type { Handler, HttpServer, Routes } from "./http-server";
import { MAXIMUM_BODY_SIZE } from "./request-body";

interface RunningServer {
  readonly server: HttpServer;
  readonly url: string;
  readonly lines: readonly RecordedLine[];
  /** Sizes of the bodies that reached the handler of POST /webhook. */
  readonly bodies: readonly number[];
}

async function start(more: Routes = {}): Promise<RunningServer> {
  const { log, lines } = recordingLog();
  const bodies: number[] = [];
  const webhook: Handler = async ({ body, header }) => {
    const read = await body();
    bodies.push(read.length);
    return { status: 200, body: { text: read.toString("utf8").slice(0, 20), kind: header("x-kind") } };
  };
  const health: Handler = () => Promise.resolve({ status: 503, body: { status: "unhealthy" } });
  const routes = { "/webhook": { POST: webhook }, "/health": { GET: health }, ...more };
  const server = await startHttpServer({ host: "127.0.0.1", port: 0, routes, log });
  onTestFinished(() => server.close());
  return { server, url: `http://127.0.0.1:${server.port}`, lines, bodies };
}

const UUID = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}";

/** fetch would keep its connections, and so the server of the next test waiting. */
const CLOSE = { connection: "close" };

describe("startHttpServer", () => {
  it("hands the body to the handler byte by byte, and answers in JSON", async () => {
    const { url } = await start();
    const response = await fetch(`${url}/webhook?x=1`, {
      method: "POST",
      body: "häh\r\n ",
      headers: { ...CLOSE, "X-Kind": "tag" },
    });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/json; charset=utf-8");
    expect(await response.json()).toEqual({ text: "häh\r\n ", kind: "tag" });
  });

  it("keeps the connection for the next request", async () => {
    const { server } = await start();
    const get = "GET /health HTTP/1.1\r\nHost: x\r\n";
    expect(statusesIn(await sendRaw(server.port, `${get}\r\n${get}Connection: close\r\n\r\n`))).toEqual([503, 503]);
  });

  it.each([
    ["GET", "/", 404, "there is nothing at this path; try /webhook, /health"],
    ["GET", "/webhook/", 404, "there is nothing at this path; try /webhook, /health"],
    ["POST", "/__proto__", 404, "there is nothing at this path; try /webhook, /health"],
    ["GET", "/constructor", 404, "there is nothing at this path; try /webhook, /health"],
    ["GET", "/webhook", 405, "use POST"],
    ["DELETE", "/webhook", 405, "use POST"],
    ["POST", "/health", 405, "use GET"],
    ["OPTIONS", "/health", 405, "use GET"],
  ])("answers %s %s with %i in JSON", async (method, path, status, message) => {
    const { url } = await start();
    const response = await fetch(url + path, { method, headers: CLOSE });
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual({ status: "error", message });
  });

  it("names the allowed methods in the header of a 405", async () => {
    const { url } = await start();
    const allow = async (path: string): Promise<string | null> =>
      (await fetch(url + path, { method: "PUT", headers: CLOSE })).headers.get("allow");
    expect([await allow("/webhook"), await allow("/health")]).toEqual(["POST", "GET, HEAD"]);
  });

  it("answers HEAD like GET, with the length of the body but without it", async () => {
    const { server } = await start();
    const raw = await sendRaw(server.port, "HEAD /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    expect(raw).toMatch(/^HTTP\/1\.1 503 /);
    expect(raw).toMatch(/content-length: 22\r\n/i);
    expect(raw).toMatch(/\r\n\r\n$/);
  });

  it("answers 500 without details when a handler throws, and logs them", async () => {
    const { url, lines } = await start({ "/broken": { GET: () => Promise.reject(new Error("geheim")) } });
    const response = await fetch(`${url}/broken`, { headers: CLOSE });
    expect(response.status).toBe(500);
    expect(await response.json()).toEqual({ status: "error", message: "internal error; the log has the details" });
    expect(lines).toMatchObject([{ level: "error", fields: { path: "/broken", cause: "geheim" } }]);
  });

  it("survives an answer that cannot be sent", async () => {
    const circular: Record<string, unknown> = {};
    circular.self = circular;
    const { url, lines } = await start({ "/broken": { GET: () => Promise.resolve({ status: 200, body: circular }) } });
    await rejectionOf(fetch(`${url}/broken`));
    expect(lines).toMatchObject([{ level: "error", message: "An answer could not be sent" }]);
    expect((await fetch(`${url}/health`, { headers: CLOSE })).status).toBe(503);
  });

  it("takes IPv6 and IPv4 alike when no address is set, and IPv4 alone where there is no IPv6", async () => {
    const { log } = recordingLog();
    const server = await startHttpServer({ host: undefined, port: 0, routes: {}, log });
    onTestFinished(() => server.close());
    const hasIpv6 = Object.values(networkInterfaces()).some(addresses =>
      addresses?.some(({ family }) => family === "IPv6"),
    );
    expect(server.host).toBe(hasIpv6 ? "::" : "0.0.0.0");
    for (const host of hasIpv6 ? ["127.0.0.1", "[::1]"] : ["127.0.0.1"]) {
      const response = await fetch(`http://${host}:${server.port}/`, { headers: CLOSE });
      expect(response.status).toBe(404);
      await response.text();
    }
    const taken = startHttpServer({ host: undefined, port: server.port, routes: {}, log });
    expect((await rejectionOf(taken)).message).toContain(`Cannot listen on port ${server.port} (EADDRINUSE)`);
  });

  it("says which address cannot be listened on, and what to do", async () => {
    const { server } = await start();
    const { log } = recordingLog();
    const taken = startHttpServer({ host: "127.0.0.1", port: server.port, routes: {}, log });
    expect((await rejectionOf(taken)).message).toBe(
      `Cannot listen on 127.0.0.1:${server.port} (EADDRINUSE): another process has it; stop that one or set MLFLOW_KSERVE_APP_PORT`,
    );
    const foreign = startHttpServer({ host: "192.0.2.1", port: 0, routes: {}, log });
    expect((await rejectionOf(foreign)).message).toMatch(/\(EADDRNOTAVAIL\): check MLFLOW_KSERVE_APP_HOST and/);
  });
});

describe("bodies of requests", () => {
  const post = (headers: string, body: string | Buffer): [string, string | Buffer] => [
    `POST /webhook HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n`,
    body,
  ];
  const chunk = (size: number): string => `${size.toString(16)}\r\n${"x".repeat(size)}\r\n`;

  it("are read up to exactly 1 MiB", async () => {
    const { server, bodies } = await start();
    const size = MAXIMUM_BODY_SIZE;
    const plain = await sendRaw(server.port, ...post(`Content-Length: ${size}\r\nConnection: close`, "x".repeat(size)));
    const chunks = `${chunk(size - 1)}${chunk(1)}0\r\n\r\n`;
    const chunked = await sendRaw(server.port, ...post("Transfer-Encoding: chunked\r\nConnection: close", chunks));
    expect([...statusesIn(plain), ...statusesIn(chunked), ...bodies]).toEqual([200, 200, size, size]);
  });

  it.each([
    ["announced as larger", "Content-Length: 1048577", ""],
    ["announced as much larger", "Content-Length: 99999999999999999", ""],
    ["in chunks that become larger", "Transfer-Encoding: chunked", chunk(MAXIMUM_BODY_SIZE) + chunk(1)],
  ])("%s are answered 413, and the connection is not used further", async (_, headers, body) => {
    const { server, bodies } = await start();
    const raw = await sendRaw(server.port, ...post(headers, body), "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(statusesIn(raw)).toEqual([413]);
    expect(raw).toMatch(/connection: close\r\n/i);
    expect(raw).toContain('{"status":"error","message":"the body is larger than 1048576 bytes"}');
    expect(bodies).toEqual([]);
  });

  it("of a refused path are not taken for the next request", async () => {
    const { server } = await start();
    const smuggled = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    const headers = `POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: ${smuggled.length + 10}\r\n\r\n`;
    expect(statusesIn(await sendRaw(server.port, headers, smuggled))).toEqual([404]);
  });

  it.each([
    ["both a length and chunks", "Content-Length: 5\r\nTransfer-Encoding: chunked"],
    ["two different lengths", "Content-Length: 5\r\nContent-Length: 6"],
    ["chunks that are not the last encoding", "Transfer-Encoding: chunked, identity"],
    ["a length that is no number", "Content-Length: 5x"],
    ["a negative length", "Content-Length: -1"],
  ])("with %s are refused, and nothing after them is taken for a request", async (_, headers) => {
    const { server, bodies } = await start();
    const next = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    const raw = await sendRaw(server.port, ...post(headers, `0\r\n\r\n${next}`));
    expect(statusesIn(raw)).toEqual([400]);
    expect(bodies).toEqual([]);
  });

  it("that are cut off reach no handler, and are no error of the server's", async () => {
    const { server, bodies, lines } = await start();
    const socket = connect({ host: "127.0.0.1", port: server.port });
    socket.write("POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf");
    await once(socket, "connect");
    socket.destroy();
    // Resolves only when the server has seen the end of that connection.
    await server.close();
    expect([bodies, lines]).toEqual([[], []]);
  });
});

describe("closing the server", () => {
  it("waits for the requests under way, and lets their connections go", async () => {
    const arrived = deferred<undefined>();
    const release = deferred<undefined>();
    const slow: Handler = async () => {
      arrived.resolve(undefined);
      await release.promise;
      return { status: 200, body: {} };
    };
    const { server, url } = await start({ "/slow": { GET: slow } });
    const agent = new http.Agent({ keepAlive: true });
    onTestFinished(() => {
      agent.destroy();
    });
    const answered = once(http.get(`${url}/slow`, { agent }), "response") as Promise<[http.IncomingMessage]>;
    await arrived.promise;
    let closed = false;
    const closing = server.close().then(() => (closed = true));
    await rejectionOf(fetch(`${url}/health`));
    expect(closed).toBe(false);
    release.resolve(undefined);
    const [response] = await answered;
    response.resume();
    expect([response.statusCode, response.headers.connection]).toEqual([200, "close"]);
    await closing;
  });
});

describe("the id of an answer", () => {
  const idOf = (raw: string): string | undefined => /\r\nx-request-id: (.*)\r\n/i.exec(raw)?.[1];
  const ask = async (header: string): Promise<string | undefined> => {
    const { server } = await start();
    const raw = await sendRaw(server.port, `GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${header}\r\n`);
    return idOf(raw);
  };

  it("is the delivery's, if that is a plain token", async () => {
    const longest = "a".repeat(128);
    expect(await ask("X-MLflow-Delivery-Id: 7d8f3c1e-A\r\n")).toBe("7d8f3c1e-A");
    expect(await ask(`X-MLflow-Delivery-Id: ${longest}\r\n`)).toBe(longest);
  });

  it.each([
    "",
    "X-MLflow-Delivery-Id: a b\r\n",
    "X-MLflow-Delivery-Id: a,b\r\n",
    `X-MLflow-Delivery-Id: ${"a".repeat(129)}\r\n`,
    "X-MLflow-Delivery-Id: é\r\n",
  ])("is a new one otherwise (%#)", async header => {
    expect(await ask(header)).toMatch(new RegExp(`^${UUID}$`));
  });
});
