import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { rejectionOf } from "../../test/support/unit/outcomes";
import { sendRequest } from "./http-client";
import { TunnelAgent } from "./tunnel-agent";

// Proxies of our own: a real one cannot be made to answer like this. Real ones: test/integration/proxies.test.ts.

interface Proxy {
  readonly url: URL;
  readonly asked: () => string;
  readonly open: () => number;
}

async function startProxy(answer: (socket: Socket) => void, host = "127.0.0.1"): Promise<Proxy> {
  let asked = "";
  const sockets = new Set<Socket>();
  const server = createServer(socket => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket)).on("error", () => undefined);
    socket.on("data", bytes => {
      asked += bytes.toString("latin1");
      if (asked.endsWith("\r\n\r\n")) answer(socket);
    });
  });
  await new Promise<void>(resolve => server.listen(0, host, resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const url = new URL(`http://user:p%40ss@${host.includes(":") ? `[${host}]` : host}:${port}`);
  return { url, asked: () => asked, open: () => sockets.size };
}

async function failureThrough(proxy: Proxy, target: string, openWithin = 60_000): Promise<string> {
  const agent = new TunnelAgent({ proxy: proxy.url, proxyTrust: {}, openWithin });
  const call = { url: new URL(target), method: "GET", agent, deadline: 60_000, maximumBodySize: 1000 };
  return (await rejectionOf(sendRequest(call))).message;
}

describe("a proxy that opens no tunnel", () => {
  it("is no server that answers, whatever it says", async () => {
    const body = '{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "Model Version not found"}';
    const proxy = await startProxy(socket =>
      socket.end(`HTTP/1.1 404 Not Found\r\ncontent-length: ${body.length}\r\n\r\n${body}`),
    );
    expect(await failureThrough(proxy, "https://mlflow.example.com/x")).toBe(
      "GET https://mlflow.example.com/x: the proxy answered CONNECT with 404",
    );
    expect(proxy.asked()).toBe(
      "CONNECT mlflow.example.com:443 HTTP/1.1\r\nhost: mlflow.example.com:443\r\nproxy-authorization: Basic " +
        `${Buffer.from("user:p@ss").toString("base64")}\r\nConnection: close\r\n\r\n`,
    );
  });

  it("is left when its time is over, also when it sends its answer bit by bit", async () => {
    const proxy = await startProxy(socket => {
      const timer = setInterval(() => socket.write("H"), 10);
      socket.on("close", () => {
        clearInterval(timer);
      });
    });
    expect(await failureThrough(proxy, "https://mlflow.example.com", 100)).toMatch(
      /no tunnel within 100 ms|Parse Error/,
    );
    await expect.poll(() => proxy.open()).toBe(0);
  });

  it("is left when it says nothing", async () => {
    const proxy = await startProxy(() => undefined);
    expect(await failureThrough(proxy, "https://mlflow.example.com", 100)).toMatch(/no tunnel within 100 ms/);
    await expect.poll(() => proxy.open()).toBe(0);
  });

  it("fails the call when what comes through the tunnel is no TLS", async () => {
    const proxy = await startProxy(socket => socket.write("HTTP/1.1 200 OK\r\n\r\nnonsense, and no TLS at all"));
    expect(await failureThrough(proxy, "https://mlflow.example.com")).toMatch(/^GET https:\/\/mlflow.example.com\/: /);
  });

  it("is asked at an IPv6 address, for an IPv6 address, in brackets", async () => {
    const proxy = await startProxy(socket => socket.end("HTTP/1.1 403 Forbidden\r\n\r\n"), "::1");
    expect(await failureThrough(proxy, "https://[::1]:5000")).toContain("the proxy answered CONNECT with 403");
    expect(proxy.asked()).toContain("CONNECT [::1]:5000 HTTP/1.1\r\n");
  });
});
