import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { deferred } from "../../test/support/unit/outcomes";
import { sendRaw, statusesIn } from "../../test/support/unit/raw-http";
import { recordingLog } from "../../test/support/unit/recording-log";
import type { RecordedLine } from "../../test/support/unit/recording-log";
import { startHttpServer } from "./http-server";
import type { HttpLimits, HttpServer } from "./http-server";

const GET = "GET /services HTTP/1.1\r\nHost: x\r\n\r\n";
const UUID = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}";

interface RunningServer {
  readonly server: HttpServer;
  readonly lines: readonly RecordedLine[];
  /** Requests to /slow that wait for `release`. */
  readonly waiting: () => number;
  readonly release: () => void;
}

async function start(limits: Partial<HttpLimits> = {}): Promise<RunningServer> {
  const { log, lines } = recordingLog();
  const gate = deferred<undefined>();
  let waiting = 0;
  const answer = (path: string) => () => Promise.resolve({ status: 200, body: { path } });
  const routes = {
    "/services": { GET: answer("/services") },
    "/livez": { GET: answer("/livez") },
    "/webhook": {
      POST: async ({ body }: { body: () => Promise<Buffer> }) => ({
        status: 200,
        body: { size: (await body()).length },
      }),
    },
    "/slow": {
      GET: async () => {
        waiting++;
        await gate.promise;
        return { status: 200, body: {} };
      },
    },
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

interface Client {
  readonly socket: Socket;
  readonly received: () => string;
  readonly ended: Promise<unknown>;
}

async function open(port: number): Promise<Client> {
  const socket = connect({ host: "127.0.0.1", port });
  let received = "";
  socket.on("data", (chunk: Buffer) => (received += chunk.toString("utf8")));
  socket.on("error", () => undefined);
  const ended = once(socket, "close");
  onTestFinished(() => {
    socket.destroy();
  });
  await once(socket, "connect");
  return { socket, received: () => received, ended };
}

describe("what is no HTTP", () => {
  it.each([
    ["TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "this is not HTTP/1.1"],
    ["text", "hello\r\n\r\n", 400, "this is not HTTP/1.1"],
    ["an unknown method", "BREW /services HTTP/1.1\r\nHost: x\r\n\r\n", 400, "this is not HTTP/1.1"],
    ["another version", "GET /services HTTP/7.3\r\nHost: x\r\n\r\n", 400, "this is not HTTP/1.1"],
    ["a header without a colon", "GET /services HTTP/1.1\r\nHost x\r\n\r\n", 400, "this is not HTTP/1.1"],
    ["no host", "GET /services HTTP/1.1\r\n\r\n", 400, "the header Host is missing"],
    [
      "headers of 20 KB",
      `GET /services HTTP/1.1\r\nHost: x\r\nX: ${"x".repeat(20_000)}\r\n\r\n`,
      431,
      "the headers are larger than 16 KiB",
    ],
    [
      "a path of 20 KB",
      `GET /${"x".repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
      431,
      "the headers are larger than 16 KiB",
    ],
    ["a tunnel", "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", 405, "this is no proxy"],
    [
      "an expectation",
      "GET /services HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\n\r\n",
      417,
      "no expectation but 100-continue can be met",
    ],
  ])("is answered in JSON, with an id: %s", async (_, text, status, message) => {
    const { server } = await start();
    const client = await open(server.port);
    client.socket.write(text, "latin1");
    await vi.waitFor(() => {
      expect(client.received()).toContain("\r\n\r\n{");
    });
    client.socket.end();
    await client.ended;
    const raw = client.received();
    expect(statusesIn(raw)).toEqual([status]);
    expect(raw).toMatch(/\r\ncontent-type: application\/json; charset=utf-8\r\n/i);
    expect(raw).toMatch(new RegExp(`\r\nx-request-id: ${UUID}\r\n`, "i"));
    expect(raw).toContain(`\r\n\r\n${JSON.stringify({ status: "error", message })}`);
    expect(statusesIn(await sendRaw(server.port, GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")))).toEqual([
      200,
    ]);
  });

  it("after a good request is answered after it", async () => {
    const { server, release, waiting } = await start();
    const client = await open(server.port);
    client.socket.write("GET /slow HTTP/1.1\r\nHost: x\r\n\r\nrubbish\r\n\r\n");
    await vi.waitFor(() => {
      expect(waiting()).toBe(1);
    });
    release();
    await vi.waitFor(() => {
      expect(statusesIn(client.received())).toEqual([200, 400]);
    });
  });

  it("inside of a body is answered once", async () => {
    const { server } = await start();
    const head = "POST /webhook HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    expect(statusesIn(await sendRaw(server.port, head, "5\r\nhello\r\nzzz\r\n", GET))).toEqual([400]);
  });

  it("leaves the server serving when the client has gone", async () => {
    const { server, lines } = await start();
    for (const text of [
      "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n",
      "POST /webhook HTTP/1.1\r\nContent-Length: 9\r\n\r\nx",
      "GET /",
    ]) {
      const { socket } = await open(server.port);
      socket.write(text);
      await new Promise(resolve => setImmediate(resolve));
      socket.resetAndDestroy();
    }
    expect(statusesIn(await sendRaw(server.port, GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")))).toEqual([
      200,
    ]);
    expect(lines).toEqual([]);
  });
});

describe("a client that sends slowly", () => {
  const limits = { headersTimeout: 100, requestTimeout: 200, connectionsCheckingInterval: 50 };

  it.each([
    ["nothing", ""],
    ["half a head", "GET /services HTTP/1.1\r\nX-A: b\r\n"],
    ["half a body", "POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf"],
  ])("is answered 408 and sent away: %s", async (_, text) => {
    const { server } = await start(limits);
    const client = await open(server.port);
    client.socket.write(text);
    await client.ended;
    expect(statusesIn(client.received())).toEqual([408]);
    expect(client.received()).toContain('{"status":"error","message":"the request was not received in time"}');
  });

  it("does not end because its answer takes long", async () => {
    const { server, release } = await start(limits);
    const client = await open(server.port);
    client.socket.write("GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    await new Promise(resolve => setTimeout(resolve, 500));
    expect(client.received()).toBe("");
    release();
    await client.ended;
    expect(statusesIn(client.received())).toEqual([200]);
  });
});

describe("more connections than are served", () => {
  it("take the place of idle ones", async () => {
    const { server, lines } = await start({ maximumConnections: 2 });
    const idle = [await open(server.port), await open(server.port)];
    for (const { socket } of idle) socket.write(GET);
    await vi.waitFor(() => {
      expect(idle.map(({ received }) => statusesIn(received()))).toEqual([[200], [200]]);
    });
    const third = await open(server.port);
    await Promise.all(idle.map(({ ended }) => ended));
    third.socket.write(GET);
    await vi.waitFor(() => {
      expect(statusesIn(third.received())).toEqual([200]);
    });
    expect(lines).toEqual([]);
  });

  it("are answered 503 when none is idle, probes excepted, and closed beyond twice as many", async () => {
    const { server, waiting, release, lines } = await start({ maximumConnections: 2 });
    const busy = [await open(server.port), await open(server.port)];
    for (const { socket } of busy) socket.write("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    await vi.waitFor(() => {
      expect(waiting()).toBe(2);
    });
    const [probe, surplus, beyond] = [await open(server.port), await open(server.port), await open(server.port)];
    await beyond.ended;
    expect(beyond.received()).toBe("");
    probe.socket.write("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
    surplus.socket.write(GET);
    await surplus.ended;
    expect(statusesIn(surplus.received())).toEqual([503]);
    expect(surplus.received()).toMatch(/\r\nretry-after: 1\r\n/i);
    expect(surplus.received()).toContain("too many connections; try again");
    await vi.waitFor(() => {
      expect(statusesIn(probe.received())).toEqual([200]);
    });
    expect(lines).toMatchObject([{ level: "warn", message: "More connections than can be served were refused" }]);
    release();
    await vi.waitFor(() => {
      expect(busy.map(({ received }) => statusesIn(received()))).toEqual([[200], [200]]);
    });
  });

  it("are no way around the limit: neither are many requests on one", async () => {
    const { server, waiting, release } = await start();
    const client = await open(server.port);
    client.socket.write("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n".repeat(50));
    await vi.waitFor(() => {
      expect(waiting()).toBe(32);
    });
    release();
    await client.ended;
    expect(statusesIn(client.received())).toEqual([...Array<number>(32).fill(200), 503]);
  });
});

describe("a server that is being closed", () => {
  it.each(["", "GET /services HTTP/1.1\r\nX-", "POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx"])(
    "is not held up by who has sent only %j",
    async text => {
      const { server } = await start({ closeGrace: 20 });
      const client = await open(server.port);
      client.socket.write(text);
      await new Promise(resolve => setTimeout(resolve, 50));
      await server.close();
      await client.ended;
    },
  );

  it("answers what is under way, and what is just arriving, with connection: close", async () => {
    const { server, waiting, release } = await start();
    const [working, arriving] = [await open(server.port), await open(server.port)];
    working.socket.write("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    arriving.socket.write("GET /services HTTP/1.1\r\n");
    await vi.waitFor(() => {
      expect(waiting()).toBe(1);
    });
    await new Promise(resolve => setTimeout(resolve, 50));
    const closed = server.close();
    arriving.socket.write("Host: x\r\n\r\n");
    await arriving.ended;
    release();
    await closed;
    await working.ended;
    for (const { received } of [working, arriving]) {
      expect(statusesIn(received())).toEqual([200]);
      expect(received()).toMatch(/\r\nconnection: close\r\n/i);
    }
  });
});
