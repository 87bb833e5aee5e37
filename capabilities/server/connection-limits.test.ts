import { describe, expect, it, onTestFinished, vi } from "vitest";
import { GET, open, openAndAsk, PROBE, SLOW, SLOW_PROBE, startServer } from "../../test/support/unit/http-endpoint";
import { statusesIn } from "../../test/support/unit/raw-http";

describe("more connections than are served", () => {
  it("take the place of the oldest idle one", async () => {
    const { server, lines } = await startServer({ maximumConnections: 2 });
    const idle = [await openAndAsk(server.port, GET, 200), await openAndAsk(server.port, GET, 200)] as const;
    const third = await open(server.port);
    third.socket.write(GET);
    await idle[0].ended;
    idle[1].socket.write(GET);
    await vi.waitFor(() => {
      expect([third, idle[1]].map(({ received }) => statusesIn(received()))).toEqual([[200], [200, 200]]);
    });
    expect(lines).toEqual([]);
  });

  it.each([
    ["nothing", ""],
    ["half a head", "GET /services HTTP/1.1\r\nX-A: b\r\n"],
  ])("take first the place of the oldest that sent %s", async (_, text) => {
    const { server, lines } = await startServer({ maximumConnections: 3, newcomerGrace: 0 });
    const idle = await openAndAsk(server.port, GET, 200);
    const silent = [await open(server.port), await open(server.port)] as const;
    for (const { socket } of silent) socket.write(text);
    const newest = await openAndAsk(server.port, GET, 200);
    await silent[0].ended;
    for (const { socket } of [idle, newest]) socket.write(GET);
    await vi.waitFor(() => {
      expect([idle, newest].map(({ received }) => statusesIn(received()))).toEqual([
        [200, 200],
        [200, 200],
      ]);
    });
    expect(silent[1].socket.destroyed).toBe(false);
    expect(lines).toMatchObject([
      { level: "warn", message: "Silent connections were closed to make room", fields: { closed: 1, limit: 3 } },
    ]);
  });

  it("take the place of one whose body is still on its way, but of none that is worked for", async () => {
    const { server, waiting, release } = await startServer({ maximumConnections: 2 });
    const working = await open(server.port);
    working.socket.write(SLOW);
    const half = await open(server.port);
    half.socket.write("POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx");
    await vi.waitFor(() => {
      expect(waiting()).toBe(1);
    });
    await new Promise(resolve => setTimeout(resolve, 50));
    await openAndAsk(server.port, GET, 200);
    await half.ended;
    release();
    await vi.waitFor(() => {
      expect(statusesIn(working.received())).toEqual([200]);
    });
  });

  it("do not harm a probe, however many say nothing", async () => {
    const { server } = await startServer({ maximumConnections: 10 });
    for (let round = 0; round < 5; round++) {
      for (let opened = 0; opened < 30; opened++) await open(server.port);
      await openAndAsk(server.port, PROBE, 200);
    }
  });

  it("do not harm one that has just come and has not said anything yet", async () => {
    const { server } = await startServer({ maximumConnections: 10 });
    for (let opened = 0; opened < 30; opened++) await open(server.port);
    const newcomer = await open(server.port);
    for (let opened = 0; opened < 15; opened++) await open(server.port);
    newcomer.socket.write(PROBE);
    await vi.waitFor(() => {
      expect(statusesIn(newcomer.received())).toEqual([200]);
    });
  });

  it("never cost a place of one that has spoken, while they say nothing", async () => {
    const { server } = await startServer({ maximumConnections: 5, newcomerGrace: 0 });
    const idle = await openAndAsk(server.port, GET, 200);
    for (let opened = 0; opened < 30; opened++) await open(server.port);
    idle.socket.write(GET);
    await vi.waitFor(() => {
      expect(statusesIn(idle.received())).toEqual([200, 200]);
    });
  });

  it("are answered 503 when none is idle, probes excepted, and closed beyond twice as many", async () => {
    const { server, waiting, release, lines } = await startServer({ maximumConnections: 2 });
    const busy = [await open(server.port), await open(server.port)];
    for (const { socket } of busy) socket.write(SLOW);
    await vi.waitFor(() => {
      expect(waiting()).toBe(2);
    });
    const surplus = await openAndAsk(server.port, GET, 503);
    await surplus.ended;
    expect(surplus.received()).toMatch(/\r\nretry-after: 1\r\n/i);
    expect(surplus.received()).toContain("too many connections; try again");
    await openAndAsk(server.port, PROBE, 200);
    for (let count = 3; count <= 4; count++) {
      (await open(server.port)).socket.write(SLOW_PROBE);
      await vi.waitFor(() => {
        expect(waiting()).toBe(count);
      });
    }
    const beyond = await open(server.port);
    await beyond.ended;
    expect(beyond.received()).toBe("");
    expect(lines).toMatchObject([{ level: "warn", message: "More connections than can be served were refused" }]);
    release();
    await vi.waitFor(() => {
      expect(busy.map(({ received }) => statusesIn(received()))).toEqual([[200], [200]]);
    });
  });

  it.each([
    ["requests", SLOW.repeat(30)],
    ["requests, the last of them probes", SLOW.repeat(2) + PROBE.repeat(20)],
  ])("are no way around the limit: neither are many %s on one", async (_, text) => {
    const { server, release } = await startServer();
    const client = await open(server.port);
    client.socket.write(text);
    await client.ended;
    expect(statusesIn(client.received())).toEqual([503]);
    expect(client.received()).toMatch(/\r\nretry-after: 1\r\n/i);
    expect(client.received()).toContain("too many requests on one connection before their answers");
    // What was under way for it ends without an answer, and without harm.
    release();
    await openAndAsk(server.port, GET, 200);
  });

  it("are cut without an answer when one is on its way already", async () => {
    const large = Buffer.alloc(12 * 1024 * 1024, "x");
    const { server, waiting } = await startServer({}, large);
    const client = await open(server.port);
    client.socket.pause();
    client.socket.write("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
    await new Promise(resolve => setTimeout(resolve, 100));
    client.socket.write(SLOW.repeat(3));
    client.socket.resume();
    await client.ended;
    expect(client.received().length).toBeLessThan(large.length);
    expect(waiting()).toBeLessThanOrEqual(1);
  });

  it("wait for their turn, those from another address not behind them", async () => {
    const { server } = await startServer();
    const flood = await Promise.all(Array.from({ length: 200 }, () => open(server.port)));
    for (const { socket } of flood) socket.write(GET.repeat(3));
    const asked = await openAndAsk(server.port, GET, 200, "127.0.0.2");
    expect(asked.received()).toContain('{"path":"/services"}');
    await Promise.all(flood.map(({ ended }) => ended));
    for (const { received } of flood) expect(statusesIn(received())).toEqual([503]);
  });
});

describe("a client that does not read", () => {
  /** More than the kernel takes for a client that does not read. */
  const LARGE = Buffer.alloc(12 * 1024 * 1024, "x");
  const ASK = "GET /large HTTP/1.1\r\nHost: x\r\n\r\n";

  it("is cut when it has not taken its answer in time", async () => {
    const { server } = await startServer({ writeTimeout: 300 }, LARGE);
    const client = await open(server.port);
    client.socket.pause();
    client.socket.write(ASK);
    await new Promise(resolve => setTimeout(resolve, 600));
    client.socket.resume();
    await client.ended;
    expect(client.received().length).toBeLessThan(LARGE.length);
  });

  it("is cut in time as well when it takes a little now and then", async () => {
    const { server } = await startServer({ writeTimeout: 500 }, LARGE);
    const client = await open(server.port);
    client.socket.pause();
    client.socket.write(ASK);
    const trickle = setInterval(() => {
      client.socket.read(1000);
    }, 50);
    onTestFinished(() => {
      clearInterval(trickle);
    });
    await new Promise(resolve => setTimeout(resolve, 1_000));
    client.socket.resume();
    await client.ended;
    expect(client.received().length).toBeLessThan(LARGE.length);
  });

  it("leaves room for others: large answers are refused while too much waits, small ones are not", async () => {
    const { server } = await startServer({ maximumUnsent: 20 * 1024 * 1024 }, LARGE);
    const deaf = await open(server.port);
    deaf.socket.pause();
    deaf.socket.write(ASK);
    await new Promise(resolve => setTimeout(resolve, 50));
    const other = await openAndAsk(server.port, ASK, 503);
    expect(other.received()).toContain("too many answers wait for their clients to read them; try again");
    await openAndAsk(server.port, GET, 200);
    deaf.socket.resume();
    await vi.waitFor(() => {
      expect(deaf.received().length).toBeGreaterThan(LARGE.length);
    });
    await openAndAsk(server.port, ASK, 200);
  });
});
