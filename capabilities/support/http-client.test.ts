import http from "node:http";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { cutInTheBody, neverAnswers, startFaultServer, text } from "../../test/support/unit/fault-server";
import { rejectionOf } from "../../test/support/unit/outcomes";
import { NoAnswerError, sendRequest } from "./http-client";
import type { HttpRequest } from "./http-client";

// Servers of our own: a real MLflow or API server cannot be made to cut an answer short or never to give one.

const LONG = 60_000;

function agentWith(options: http.AgentOptions = {}): http.Agent {
  const agent = new http.Agent(options);
  onTestFinished(() => {
    agent.destroy();
  });
  return agent;
}

function get(url: string, changes: Partial<HttpRequest> = {}): ReturnType<typeof sendRequest> {
  const standard = { url: new URL(url), method: "GET", deadline: LONG, maximumBodySize: 1000 };
  return sendRequest({ agent: agentWith(), ...standard, ...changes });
}

async function noAnswer(sent: Promise<unknown>): Promise<string> {
  const error = await rejectionOf(sent);
  expect(error).toBeInstanceOf(NoAnswerError);
  return error.message;
}

describe("sendRequest", () => {
  it("sends method, headers and body, and gives status, headers and body back", async () => {
    const server = await startFaultServer(text(418, "text/plain", "täglich"));
    const answer = await get(`${server.url}/tea?milk=no`, {
      method: "PATCH",
      headers: { "x-kind": "green", "content-length": "5" },
      body: "häh!",
    });
    expect(answer).toMatchObject({ status: 418, headers: { "content-type": "text/plain" } });
    expect(answer.body.toString("utf8")).toBe("täglich");
    expect(server.received).toMatchObject([
      { method: "PATCH", url: "/tea?milk=no", headers: { "x-kind": "green" }, body: "häh!" },
    ]);
  });

  it("does not follow a redirect", async () => {
    const server = await startFaultServer((_, response) => response.writeHead(302, { location: "/elsewhere" }).end());
    const answer = await get(server.url);
    expect([answer.status, answer.headers.location, server.received.length]).toEqual([302, "/elsewhere", 1]);
  });

  it("takes an answer that ends before its announced length for none", async () => {
    const server = await startFaultServer(cutInTheBody('{"model_versions": ['));
    expect(await noAnswer(get(`${server.url}/search?filter=x`))).toBe(`GET ${server.url}/search: aborted`);
  });

  it("takes an answer in chunks without the last one for none", async () => {
    const server = await startFaultServer((_, response) => {
      response.write("half", () => response.socket?.destroy());
    });
    expect(await noAnswer(get(server.url))).toMatch(/: aborted$/);
  });

  it("gives a too large answer up, and reads no further", async () => {
    const server = await startFaultServer((_, response) => {
      const more = (): boolean => response.write(Buffer.alloc(100), () => response.destroyed || more());
      more();
    });
    expect(await noAnswer(get(server.url))).toMatch(/: the answer is larger than 1000 bytes$/);
  });

  it("takes an answer of exactly the allowed size", async () => {
    const server = await startFaultServer(text(200, "text/plain", "x".repeat(1000)));
    expect((await get(server.url)).body).toHaveLength(1000);
  });

  it("waits no longer than the deadline for an answer to begin", async () => {
    const server = await startFaultServer(neverAnswers);
    expect(await noAnswer(get(server.url, { deadline: 30 }))).toBe(
      `GET ${server.url}/: no complete answer within 30 ms`,
    );
  });

  it("waits no longer than the deadline for an answer to end", async () => {
    const server = await startFaultServer((_, response) => response.write("begun"));
    expect(await noAnswer(get(server.url, { deadline: 30 }))).toMatch(/: no complete answer within 30 ms$/);
  });

  it("counts the wait for a free connection too", async () => {
    const server = await startFaultServer(neverAnswers);
    const agent = agentWith({ maxSockets: 1 });
    const first = get(server.url, { agent }).catch((error: unknown) => error);
    expect(await noAnswer(get(server.url, { agent, deadline: 30 }))).toMatch(/: no complete answer within 30 ms$/);
    agent.destroy();
    await first;
  });

  it("lets the connection go to the next request after a failed one", async () => {
    let first = true;
    const server = await startFaultServer((request, response) => {
      if (!first) text(200, "text/plain", "fine")(request, response);
      first = false;
    });
    const agent = agentWith({ maxSockets: 1, keepAlive: true });
    await noAnswer(get(server.url, { agent, deadline: 30 }));
    expect((await get(server.url, { agent })).body.toString()).toBe("fine");
  });

  describe("when the server closes a kept connection instead of answering", () => {
    const closesSecond = async (method: string): Promise<{ second: Promise<unknown>; seen: () => number }> => {
      const server = await startFaultServer((request, response) => {
        if (server.received.length === 2) response.destroy();
        else text(200, "text/plain", "fine")(request, response);
      });
      const agent = agentWith({ keepAlive: true });
      await get(server.url, { agent, method });
      return { second: get(server.url, { agent, method }), seen: () => server.received.length };
    };

    it.each(["GET", "PATCH", "DELETE"])("sends %s again over a new one", async method => {
      const { second, seen } = await closesSecond(method);
      expect(await second).toMatchObject({ status: 200 });
      expect(seen()).toBe(3);
    });

    it("does not do a POST twice", async () => {
      const { second, seen } = await closesSecond("POST");
      expect(await noAnswer(second)).toMatch(/socket hang up/);
      expect(seen()).toBe(2);
    });

    it("gives up when a new one is closed too", async () => {
      const server = await startFaultServer((_, response) => response.destroy());
      expect(await noAnswer(get(server.url, { agent: agentWith({ keepAlive: true }) }))).toMatch(/socket hang up/);
      expect(server.received).toHaveLength(1);
    });
  });

  it("says which address refused the connection, and nothing of a password or query", async () => {
    const unused = createServer();
    await new Promise<void>(resolve => unused.listen(0, "127.0.0.1", resolve));
    const { port } = unused.address() as AddressInfo;
    await new Promise(resolve => unused.close(resolve));
    const message = await noAnswer(get(`http://user:geheim@127.0.0.1:${port}/path?token=geheim`));
    expect(message).toContain(`GET http://127.0.0.1:${port}/path: `);
    expect(message).toContain("ECONNREFUSED");
    expect(message).not.toContain("geheim");
  });

  it("rejects a header that cannot be sent, without its value", async () => {
    const message = await noAnswer(get("http://127.0.0.1:9", { headers: { authorization: "Bearer geheim\n" } }));
    expect(message).toMatch(/Invalid character in header content \["authorization"\]/);
    expect(message).not.toContain("geheim");
  });

  it("rejects what is no HTTP", async () => {
    const server = createServer(socket => socket.end("SSH-2.0-OpenSSH_9.2\r\n"));
    await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    expect(await noAnswer(get(`http://127.0.0.1:${port}`))).toMatch(/Parse Error/);
  });
});
