import { describe, expect, it, onTestFinished } from "vitest";
import { readOpenApi } from "../../../test/support/openapi";
import type { ReceivedAnswer } from "../../../test/support/openapi";
import { PROBE, open, openAndAsk } from "../../../test/support/unit/http-endpoint";
import type { Client } from "../../../test/support/unit/http-endpoint";
import { memoryPageSource, publishedVersion } from "../../../test/support/unit/page-source";
import type { MemoryPageSource } from "../../../test/support/unit/page-source";
import { statusesIn } from "../../../test/support/unit/raw-http";
import { recordingLog } from "../../../test/support/unit/recording-log";
import type { PublishedVersion } from "../../status/published";
import { startHttpServer } from "../http-server";
import type { HttpLimits, HttpServer } from "../http-server";
import type { EventLimits } from "./event-stream";
import { createPageRoutes } from "./page-routes";

const iris = publishedVersion({ model: "iris", version: "1" });

interface Told {
  readonly event: string;
  readonly id: string | undefined;
  readonly data: {
    readonly cursor?: string;
    readonly changed?: readonly PublishedVersion[];
    readonly removed?: unknown[];
  };
}

/** The events in what came on a connection; the chunks that they came in are taken away. */
function eventsIn(raw: string): Told[] {
  const text = raw
    .slice(raw.indexOf("\r\n\r\n") + 4)
    .replace(/(^|\r\n)[0-9a-f]+\r\n/g, "")
    .replaceAll("\r\n", "");
  return text.split("\n\n").flatMap(block => {
    const field = (name: string): string | undefined => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1];
    const [event, data] = [field("event"), field("data")];
    if (event === undefined || data === undefined) return [];
    return [{ event, id: field("id"), data: JSON.parse(data) as Told["data"] }];
  });
}

/** The head of an answer that goes on. */
function parseHead(raw: string): ReceivedAnswer {
  const [first = "", ...lines] = raw.slice(0, raw.indexOf("\r\n\r\n")).split("\r\n");
  const headers = lines.map(line => [line.split(":", 1)[0]?.toLowerCase() ?? "", line.slice(line.indexOf(":") + 2)]);
  return {
    status: Number(first.split(" ")[1]),
    headers: Object.fromEntries(headers) as Record<string, string>,
    text: raw.slice(raw.indexOf("\r\n\r\n") + 4),
  };
}

const changesIn = (raw: string): Told[] => eventsIn(raw).filter(({ event }) => event !== "alive");

interface Served {
  readonly server: HttpServer;
  readonly source: MemoryPageSource;
  /** Where the changes are now. */
  readonly cursor: () => Promise<string>;
  /** Listens to what changes. */
  readonly listen: (since: string, header?: string) => Promise<Client>;
}

async function serve(events: Partial<EventLimits> = {}, limits: Partial<HttpLimits> = {}): Promise<Served> {
  const source = memoryPageSource([iris]);
  const routes = {
    ...createPageRoutes(source, events),
    "/livez": { GET: () => Promise.resolve({ status: 200, body: {} }) },
  };
  const server = await startHttpServer({ host: "127.0.0.1", port: 0, routes, log: recordingLog().log, limits });
  onTestFinished(() => server.close());
  return {
    server,
    source,
    async cursor() {
      const answer = await fetch(`http://127.0.0.1:${server.port}/page/versions`, { headers: { connection: "close" } });
      return ((await answer.json()) as { cursor: string }).cursor;
    },
    async listen(since, header = "") {
      const client = await open(server.port);
      client.socket.write(`GET /page/events?since=${since} HTTP/1.1\r\nHost: x\r\n${header}\r\n`);
      await expect
        .poll(() => eventsIn(client.received()).length > 0 || statusesIn(client.received()).includes(503))
        .toBe(true);
      return client;
    },
  };
}

const failed = (model: string): PublishedVersion =>
  publishedVersion({ model, version: "1" }, { word: "Failed", cause: "broken\r\n\r\nevent: reset" });

describe("GET /page/events", () => {
  it("tells what changes from a cursor on, whatever is in it", async () => {
    const { source, cursor, listen } = await serve();
    const start = await cursor();
    source.put(failed("before"));
    const { received } = await listen(start);
    expect(readOpenApi().problemsOf("/page/events", "GET", parseHead(received()))).toEqual([]);
    source.put(failed("after"));
    source.remove(iris);
    await expect.poll(() => changesIn(received()).length).toBe(2);
    const [first, second] = changesIn(received());
    expect(first).toMatchObject({
      event: "change",
      data: { changed: [failed("before")].map(({ model }) => ({ model })) },
    });
    expect(second?.data).toMatchObject({ changed: [{ model: "after" }], removed: [{ model: "iris", version: "1" }] });
    expect(second?.data.changed?.[0]?.state.cause).toBe("broken\r\n\r\nevent: reset");
    expect(second?.id).toBe(second?.data.cursor);
  });

  it("goes on from Last-Event-ID, also from one behind the query's", async () => {
    const { source, cursor, listen } = await serve();
    const start = await cursor();
    source.put(failed("seen"));
    const { received } = await listen(start);
    const seen = changesIn(received())[0]?.id ?? "";
    source.put(failed("missed"));
    const again = await listen(start, `Last-Event-ID: ${seen}\r\n`);
    await expect.poll(() => changesIn(again.received()).length).toBe(1);
    expect(changesIn(again.received())[0]?.data.changed?.map(({ model }) => model)).toEqual(["missed"]);
  });

  it.each(["", "another-process.1", "nonsense", "%00"])(
    "asks to read all anew after the cursor %j, and ends",
    async since => {
      const { listen } = await serve();
      const { received, ended } = await listen(since);
      await ended;
      expect(changesIn(received()).map(({ event }) => event)).toEqual(["reset"]);
    },
  );

  it("asks to read all anew when what changed is too long ago, or too much", async () => {
    const { source, cursor, listen } = await serve({ maximumChanges: 10 });
    const start = await cursor();
    source.put(...Array.from({ length: 11 }, (_, index) => failed(String(index))));
    const much = await listen(start);
    source.forgetChanges();
    const old = await listen(start);
    await Promise.all([much.ended, old.ended]);
    for (const { received } of [much, old]) expect(changesIn(received()).map(({ event }) => event)).toEqual(["reset"]);
  });

  it("makes few messages of a thousand changes", async () => {
    const { source, cursor, listen } = await serve({ maximumChanges: 2_000 });
    const { received } = await listen(await cursor());
    for (let index = 0; index < 1_000; index++) source.put(failed(String(index)));
    await expect.poll(() => changesIn(received()).at(-1)?.id).toBe(await cursor());
    const changes = changesIn(received());
    expect(changes.flatMap(({ data }) => data.changed ?? [])).toHaveLength(1_000);
    expect(changes.length).toBeLessThan(5);
  });

  it("shows that it lives while nothing changes, longer than a whole answer may take to be read", async () => {
    const { cursor, listen } = await serve({ aliveInterval: 50 }, { writeTimeout: 100 });
    const { received, socket } = await listen(await cursor());
    await expect.poll(() => eventsIn(received()).length).toBeGreaterThan(6);
    expect(socket.closed).toBe(false);
  });

  it("keeps nothing for a reader that does not read, and cuts it", async () => {
    const { source, cursor, listen } = await serve({ aliveInterval: 300, gatherFor: 1 });
    const { socket, ended } = await listen(await cursor());
    socket.pause();
    const large = "x".repeat(4_000_000);
    let rounds = 0;
    const churn = setInterval(() => {
      source.put(publishedVersion({ model: "large", version: "1" }, { cause: `${large} ${rounds++}` }));
    }, 20);
    onTestFinished(() => {
      clearInterval(churn);
    });
    // Cut while it had not read what was sent long ago.
    await expect.poll(() => source.listeners(), { timeout: 20_000 }).toBe(0);
    socket.resume();
    await ended;
  });

  it("listens to nothing when nobody does", async () => {
    const { source, cursor, listen } = await serve();
    const clients = [await listen(await cursor()), await listen(await cursor())];
    expect(source.listeners()).toBe(1);
    for (const { socket } of clients) socket.destroy();
    await expect.poll(() => source.listeners()).toBe(0);
  });

  it("takes few at once, which do not keep others from what they ask", async () => {
    const { server, cursor, listen } = await serve({}, { maximumStreams: 2 });
    const since = await cursor();
    const clients = [await listen(since), await listen(since)];
    const { received } = await openAndAsk(
      server.port,
      `GET /page/events?since=${since} HTTP/1.1\r\nHost: x\r\n\r\n`,
      503,
    );
    expect(received()).toMatch(/retry-after: 10\r\n/);
    expect(received()).toMatch(/"status":"error"/);
    await openAndAsk(server.port, PROBE, 200);
    clients[0]?.socket.destroy();
    await expect.poll(async () => statusesIn((await listen(since)).received())).toEqual([200]);
  });

  it("ends with the server, at once", async () => {
    const { server, source, cursor, listen } = await serve();
    const since = await cursor();
    const [reading, sleeping] = [await listen(since), await listen(since)];
    sleeping.socket.pause();
    await server.close();
    await reading.ended;
    expect(source.listeners()).toBe(0);
  });
});
