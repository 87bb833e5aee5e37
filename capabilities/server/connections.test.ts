import { describe, expect, it, vi } from "vitest";
import { GET, open, SLOW, startServer } from "../../test/support/unit/http-endpoint";
import { sendRaw, statusesIn } from "../../test/support/unit/raw-http";

const UUID = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}";

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
    const { server } = await startServer();
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
    const { server, release, waiting } = await startServer();
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
    const { server } = await startServer();
    const head = "POST /webhook HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    expect(statusesIn(await sendRaw(server.port, head, "5\r\nhello\r\nzzz\r\n", GET))).toEqual([400]);
  });

  it("leaves the server serving when the client has gone", async () => {
    const { server, lines } = await startServer();
    for (const text of [SLOW, "POST /webhook HTTP/1.1\r\nContent-Length: 9\r\n\r\nx", "GET /"]) {
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
    const { server } = await startServer(limits);
    const client = await open(server.port);
    client.socket.write(text);
    await client.ended;
    expect(statusesIn(client.received())).toEqual([408]);
    expect(client.received()).toContain('{"status":"error","message":"the request was not received in time"}');
  });

  it("does not end because its answer takes long", async () => {
    const { server, release } = await startServer(limits);
    const client = await open(server.port);
    client.socket.write("GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    await new Promise(resolve => setTimeout(resolve, 500));
    expect(client.received()).toBe("");
    release();
    await client.ended;
    expect(statusesIn(client.received())).toEqual([200]);
  });
});

describe("a server that is being closed", () => {
  it.each(["", "GET /services HTTP/1.1\r\nX-", "POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx"])(
    "is not held up by who has sent only %j",
    async text => {
      const { server } = await startServer({ closeGrace: 20 });
      const client = await open(server.port);
      client.socket.write(text);
      await new Promise(resolve => setTimeout(resolve, 50));
      await server.close();
      await client.ended;
    },
  );

  it("answers what is under way, and what is just arriving, with connection: close", async () => {
    const { server, waiting, release } = await startServer();
    const [working, arriving] = [await open(server.port), await open(server.port)];
    working.socket.write(SLOW);
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
