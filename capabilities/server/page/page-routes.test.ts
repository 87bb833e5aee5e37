import { gunzipSync, gzipSync } from "node:zlib";
import http from "node:http";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { describe, expect, it, onTestFinished } from "vitest";
import { fakeCluster } from "../../../test/support/unit/fake-cluster";
import { readOpenApi } from "../../../test/support/openapi";
import { memoryPageSource, publishedVersion } from "../../../test/support/unit/page-source";
import type { MemoryPageSource } from "../../../test/support/unit/page-source";
import { stateOfService } from "../../../test/support/unit/objects";
import { recordingLog } from "../../../test/support/unit/recording-log";
import { deferred } from "../../../test/support/unit/outcomes";
import type { PageSource, VersionDetail } from "../../status/published";
import { startHttpServer } from "../http-server";
import { createRoutes } from "../routes";

/** Bytes, gzipped, of all that a browser loads to show the page. */
const MAXIMUM_PAGE_SIZE = 60 * 1024;

const iris = publishedVersion({ model: "My iris?&", version: "3" });

const openApi = readOpenApi();

interface Received {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
  readonly json: () => unknown;
}

async function serve(
  page: PageSource | undefined,
): Promise<(path: string, more?: http.RequestOptions) => Promise<Received>> {
  const { operations: routes } = createRoutes({
    deliveries: undefined,
    health: () => Promise.resolve({ mlflowConnected: true, kubernetesConnected: true }),
    services: fakeCluster(),
    stateOf: stateOfService,
    page,
  });
  const server = await startHttpServer({ host: "127.0.0.1", port: 0, routes, log: recordingLog().log });
  onTestFinished(() => server.close());
  return async (path, { headers, ...more } = {}) => {
    const request = http.request(`http://127.0.0.1:${server.port}${path}`, {
      ...more,
      headers: { connection: "close", ...(headers as http.OutgoingHttpHeaders) },
    });
    request.end();
    const [response] = (await once(request, "response")) as [IncomingMessage];
    const body = Buffer.concat(await response.toArray());
    const status = response.statusCode ?? 0;
    if (more.method === undefined) {
      // Every answer of a test is as docs/openapi.yaml has it.
      const headers = response.headers as Record<string, string>;
      const text = (headers["content-encoding"] === "gzip" ? gunzipSync(body) : body).toString("utf8");
      const [place = ""] = path.replace(/^\/page\/[a-z]+-[0-9a-f]+\..*/, "/page/{part}").split("?", 1);
      const answer = { status, headers, text };
      const isDescribed = openApi.paths.includes(place) && (page !== undefined || place === "/");
      expect(isDescribed ? openApi.problemsOf(place, "GET", answer) : openApi.problemsOfError(answer)).toEqual([]);
    }
    return {
      status,
      headers: response.headers,
      body,
      json: () => JSON.parse(body.toString("utf8")) as unknown,
    };
  };
}

const GZIP = { headers: { "accept-encoding": "br, gzip" } };

/** The addresses of the page's parts. */
function partsOf(html: string): string[] {
  return [...html.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, address = ""]) => address);
}

describe("the status page", () => {
  it("is no larger than 60 KiB, and names its parts by their content", async () => {
    const ask = await serve(memoryPageSource([]));
    const page = await ask("/", GZIP);
    const parts = partsOf(gunzipSync(page.body).toString("utf8"));
    const answers = await Promise.all(parts.map(part => ask(`/${part}`, GZIP)));
    expect(parts.map(part => /^page\/[a-z]+-[0-9a-f]{16}\.(svg|css|js)$/.exec(part)?.[1])).toEqual([
      "svg",
      "css",
      "js",
    ]);
    expect(answers.map(({ status, headers }) => [status, headers["cache-control"], headers["content-type"]])).toEqual(
      ["image/svg+xml", "text/css; charset=utf-8", "text/javascript; charset=utf-8"].map(type => [
        ...[200, "public, max-age=31536000, immutable", type],
      ]),
    );
    const size = [page, ...answers].reduce((sum, { body }) => sum + body.length, 0);
    expect(size).toBeGreaterThan(5 * 1024);
    expect(size).toBeLessThan(MAXIMUM_PAGE_SIZE);
  });

  it("lets the browser run nothing but its own script, and be shown nowhere else", async () => {
    const ask = await serve(memoryPageSource([]));
    const { status, headers, body } = await ask("/");
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-cache",
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
    });
    const policy = headers["content-security-policy"];
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
    for (const directive of [
      ...["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"],
      ...["frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"],
    ])
      expect(policy).toContain(directive);
    expect(body.toString("utf8")).not.toMatch(/<style|<script(?![^>]* src=)|style=|\son\w+=/);
  });

  it("is answered to HEAD with its headers alone, and to other methods 405", async () => {
    const ask = await serve(memoryPageSource([iris]));
    for (const path of ["/", "/page/versions", "/page/events", "/page/module", "/page/history"]) {
      const { status, body } = await ask(path, { method: "HEAD" });
      expect([path, status, body.length]).toEqual([path, 200, 0]);
      expect((await ask(path, { method: "POST" })).status).toBe(405);
    }
  });

  it("is at the watcher: other processes say so", async () => {
    const ask = await serve(undefined);
    const { status, json } = await ask("/");
    expect(status).toBe(404);
    expect(json()).toMatchObject({ status: "error", message: expect.stringMatching(/watcher/) as string });
    expect((await ask("/page/versions")).status).toBe(404);
  });

  it("is not on the port for deliveries, and its parts are not named to who is lost", async () => {
    const { deliveries, operations, all } = createRoutes({
      deliveries: () => Promise.resolve({ status: 200, body: {} }),
      health: () => Promise.resolve({ mlflowConnected: true, kubernetesConnected: true }),
      services: fakeCluster(),
      stateOf: stateOfService,
      page: memoryPageSource([]),
    });
    const ofPage = (routes: object): number =>
      Object.keys(routes).filter(path => path === "/" || path.startsWith("/page/")).length;
    expect([ofPage(deliveries), ofPage(operations), ofPage(all)]).toEqual([0, 9, 9]);
    const ask = await serve(memoryPageSource([]));
    expect((await ask("/nothing")).json()).toMatchObject({
      message: "there is nothing at this path; try /health, /services, /livez, /readyz, /",
    });
  });
});

describe("GET /page/versions", () => {
  const cursorOf = ({ json }: Received): string => (json() as { cursor: string }).cursor;

  it("is all versions, rendered once for all who ask until something changes", async () => {
    const source = memoryPageSource([iris]);
    const ask = await serve(source);
    const plain = await ask("/page/versions");
    expect(plain.json()).toEqual({ cursor: cursorOf(plain), versions: [iris] });
    const compressed = await ask("/page/versions", GZIP);
    expect(compressed.headers).toMatchObject({ "content-encoding": "gzip", "cache-control": "no-store" });
    expect(gunzipSync(compressed.body)).toEqual(plain.body);
    // No gzip at all is a form of the header too.
    const refused = await ask("/page/versions", { headers: { "accept-encoding": "gzip;q=0" } });
    expect(refused.body).toEqual(plain.body);

    source.remove(iris);
    await expect.poll(async () => (await ask("/page/versions")).json()).toMatchObject({ versions: [] });
    expect(cursorOf(await ask("/page/versions"))).not.toBe(cursorOf(plain));
  });

  it("takes 5,000 versions, and few bytes for them", async () => {
    const many = Array.from({ length: 5_000 }, (_, index) =>
      publishedVersion({ model: `model ${index % 700}`, version: String(index) }),
    );
    const ask = await serve(memoryPageSource(many));
    const { body } = await ask("/page/versions", GZIP);
    expect((JSON.parse(gunzipSync(body).toString("utf8")) as { versions: unknown[] }).versions).toHaveLength(5_000);
    expect(body.length).toBeLessThan(gzipSync(JSON.stringify(many)).length * 1.1);
  });
});

describe("GET /page/version", () => {
  const path = (model: string, version: string): string =>
    `/page/version?${new URLSearchParams({ model, version }).toString()}`;

  it("is one version in detail", async () => {
    const ask = await serve(memoryPageSource([iris], { detail: { labels: { "<b>": "x" } } }));
    const { status, json } = await ask(path(iris.model, "3"));
    expect(status).toBe(200);
    expect(json()).toMatchObject({ model: iris.model, labels: { "<b>": "x" }, state: { word: "Ready" } });
    expect((await ask(path(iris.model, "4"))).status).toBe(404);
  });

  it.each([
    "",
    "?model=a",
    "?version=1",
    "?model=a&version=1&x=2",
    "?model=a&model=b",
    `?version=1&model=${"x".repeat(1001)}`,
  ])("refuses what names no version: %s", async query => {
    const ask = await serve(memoryPageSource([iris]));
    const { status, json } = await ask(`/page/version${query}`);
    expect(status).toBe(400);
    expect(json()).toMatchObject({ status: "error" });
  });

  it("reads a version once for all who ask at once, and few versions at once", async () => {
    const gate = deferred<undefined>();
    let reads = 0;
    const source: PageSource = {
      ...memoryPageSource([]),
      async detail(key) {
        reads++;
        await gate.promise;
        return { ...iris, ...key, chain: [], labels: {} } satisfies VersionDetail;
      },
    };
    const ask = await serve(source);
    const same = [1, 2, 3].map(() => ask(path("a", "1")));
    const others = ["2", "3", "4"].map(version => ask(path("a", version)));
    await expect.poll(() => reads).toBe(4);
    const late = await ask(path("a", "5"));
    expect([late.status, late.headers["retry-after"]]).toEqual([503, "1"]);
    gate.resolve(undefined);
    expect((await Promise.all([...same, ...others])).map(({ status }) => status)).toEqual(Array(6).fill(200));
    expect(reads).toBe(4);
  });

  it("tells why it cannot be read, without secrets", async () => {
    const source: MemoryPageSource = {
      ...memoryPageSource([]),
      detail: () => Promise.reject(new Error("GET https://me:pass@mlflow/ failed")),
    };
    const { status, json } = await (await serve(source))(path("a", "1"));
    expect(status).toBe(500);
    expect(json()).toEqual({ status: "error", message: "GET https://***@mlflow/ failed" });
  });
});

describe("GET /page/module and /page/history", () => {
  it("are the module and what changed, of one version too", async () => {
    const source = memoryPageSource([iris]);
    source.put(publishedVersion({ model: "other", version: "1" }));
    source.put({ ...iris, state: { word: "Failed", cause: "broken" } });
    const ask = await serve(source);
    expect((await ask("/page/module")).json()).toMatchObject({ items: (await source.moduleView()).items });
    const changes = async (query: string): Promise<unknown[]> =>
      ((await ask(`/page/history${query}`)).json() as { changes: unknown[] }).changes;
    expect(await changes("")).toHaveLength(2);
    expect(await changes(`?${new URLSearchParams({ model: iris.model, version: "3" }).toString()}`)).toMatchObject([
      { before: "Ready", after: "Failed", cause: "broken" },
    ]);
    expect((await ask("/page/history?model=a")).status).toBe(400);
  });
});
