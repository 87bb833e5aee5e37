import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { Agent, createServer, request as forward } from "node:https";
import type { RequestOptions } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { dump } from "js-yaml";
import { createCertificates } from "../testbed/certificates";
import { kubeConfigFrom } from "./kube-config";

/** What is known of a request before it is forwarded. */
export interface ApiServerProxyRequest {
  readonly method: string;
  /** Decoded, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly isWatch: boolean;
}

/** What goes wrong with one request. */
export type ApiServerFault =
  /** It is not forwarded, and answered with a Kubernetes Status. */
  | {
      readonly kind: "status";
      readonly code: number;
      /** As in Status: Conflict, TooManyRequests, Forbidden, … */
      readonly reason?: string;
      readonly message?: string;
      /** Seconds, for the header Retry-After. */
      readonly retryAfter?: number;
    }
  /** It is forwarded later. */
  | { readonly kind: "delay"; readonly milliseconds: number }
  /** The connection is cut, and the API server never hears of it. */
  | { readonly kind: "cut before" }
  /** The API server does it, but the connection is cut before one byte of the answer. */
  | { readonly kind: "cut after" }
  /** The API server does it, but the answer ends in the middle of its body. */
  | { readonly kind: "truncated" };

export interface ApiServerProxy {
  /** Path of a kubeconfig that leads through the proxy; who uses it acts as the user of the one that was given. */
  readonly kubeconfig: string;
  /** Decides about each request, watches included; may take its time, the request waits. */
  fault: (request: ApiServerProxyRequest) => ApiServerFault | undefined | Promise<ApiServerFault | undefined>;
  /** Told of each answer of the API server's before it is passed on. */
  answered: (request: ApiServerProxyRequest, status: number) => void;
  /** How many requests came, and how many of them got a fault. */
  readonly counts: { readonly requests: number; readonly faults: number };
  /** Cuts all watches that are open. @returns how many there were */
  cutWatches: () => number;
  close: () => Promise<void>;
}

/** For all proxies of this process: keys take long to make. */
let certificates: ReturnType<typeof createCertificates> | undefined;

/**
 * Stands between clients and the real API server, for faults that the real one cannot be made to produce at a wanted
 * moment. Answers are passed on as they come, so watches work.
 *
 * @param directory where the new kubeconfig is written
 */
export async function startApiServerProxy(options: {
  readonly kubeconfig: string;
  readonly directory: string;
}): Promise<ApiServerProxy> {
  const [upstream, { authority, server: identity }] = await Promise.all([
    openUpstream(options.kubeconfig),
    (certificates ??= createCertificates()),
  ]);
  // The proxy adds the user's credentials: without a token of its own, everybody on this machine could use them.
  const token = randomBytes(32).toString("hex");
  const watches = new Set<ServerResponse>();
  const ending = new AbortController();
  const counts = { requests: 0, faults: 0 };

  const handle = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    if (incoming.headers.authorization !== `Bearer ${token}`) {
      answerStatus(incoming, outgoing, { kind: "status", code: 401, reason: "Unauthorized" });
      return;
    }
    const request = describe(incoming);
    counts.requests++;
    const fault = await proxy.fault(request);
    if (fault !== undefined) counts.faults++;
    if (fault?.kind === "status") {
      answerStatus(incoming, outgoing, fault);
      return;
    }
    if (fault?.kind === "cut before") {
      outgoing.destroy();
      return;
    }
    if (fault?.kind === "delay") await sleep(fault.milliseconds, undefined, { signal: ending.signal });
    const answer = await upstream.send(incoming, outgoing);
    proxy.answered(request, answer.statusCode ?? 0);
    if (fault?.kind === "cut after" || fault?.kind === "truncated") {
      if (request.isWatch) outgoing.destroy();
      else await breakOff(answer, outgoing, fault.kind);
      return;
    }
    if (request.isWatch) {
      watches.add(outgoing);
      outgoing.once("close", () => watches.delete(outgoing));
    }
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    outgoing.flushHeaders();
    answer.on("error", () => outgoing.destroy());
    answer.pipe(outgoing);
  };

  const server = createServer({ cert: identity.certificate, key: identity.privateKey }, (incoming, outgoing) => {
    handle(incoming, outgoing).catch(() => outgoing.destroy());
  });
  await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const kubeconfig = path.join(options.directory, `kubeconfig-through-${port}`);
  writeFileSync(kubeconfig, kubeconfigFor(`https://127.0.0.1:${port}`, authority.certificate, token), { mode: 0o600 });

  const proxy: ApiServerProxy = {
    kubeconfig,
    fault: () => undefined,
    answered: () => undefined,
    counts,
    cutWatches() {
      const open = [...watches];
      for (const watch of open) watch.destroy();
      return open.length;
    },
    async close() {
      ending.abort();
      const closed = new Promise<void>(resolve => {
        server.close(() => {
          resolve();
        });
      });
      server.closeAllConnections();
      await closed;
      upstream.close();
    },
  };
  return proxy;
}

/** Milliseconds that an unused connection to the API server is kept: less than the API server keeps it. */
const IDLE_TIMEOUT = 30_000;

interface Upstream {
  /** Forwards a request with its body; the returned answer's body is still to be read. */
  readonly send: (incoming: IncomingMessage, outgoing: ServerResponse) => Promise<IncomingMessage>;
  readonly close: () => void;
}

/** The real API server, as the user of a kubeconfig. */
async function openUpstream(kubeconfig: string): Promise<Upstream> {
  const config = kubeConfigFrom(kubeconfig);
  const address = config.getCurrentCluster()?.server;
  if (address === undefined) throw new Error(`${kubeconfig} names no cluster`);
  const credentials: RequestOptions = { headers: {} };
  await config.applyToHTTPSOptions(credentials);
  const { ca, cert, key } = credentials;
  const agent = new Agent({ keepAlive: true, ca, cert, key, timeout: IDLE_TIMEOUT });
  const own = Object.entries(credentials.headers ?? {}).filter(([name]) => name.toLowerCase() === "authorization");
  return {
    send: (incoming, outgoing) =>
      new Promise((resolve, reject) => {
        const url = new URL(incoming.url ?? "/", address);
        const theirs = Object.entries(incoming.headers).filter(([name]) => name !== "authorization" && name !== "host");
        const headers = Object.fromEntries([...theirs, ...own]);
        const sent = forward(url, { method: incoming.method, headers, agent }, resolve);
        sent.on("error", reject);
        // A client that has gone, or was cut off, wants its watch no longer.
        if (outgoing.destroyed) sent.destroy();
        outgoing.once("close", () => sent.destroy());
        incoming.pipe(sent);
      }),
    close: () => {
      agent.destroy();
    },
  };
}

function describe(incoming: IncomingMessage): ApiServerProxyRequest {
  const url = new URL(incoming.url ?? "/", "https://proxy");
  const query = url.searchParams;
  const isWatch = ["true", "1"].includes(query.get("watch") ?? "");
  return { method: incoming.method ?? "GET", path: decodeURIComponent(url.pathname), query, isWatch };
}

function answerStatus(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { code, reason = "", message = `fault ${code} ${reason}`, retryAfter }: ApiServerFault & { kind: "status" },
): void {
  incoming.resume();
  outgoing.writeHead(code, {
    "content-type": "application/json",
    ...(retryAfter === undefined ? {} : { "retry-after": String(retryAfter) }),
  });
  outgoing.end(
    JSON.stringify({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, reason, code }),
  );
}

async function breakOff(
  answer: IncomingMessage,
  outgoing: ServerResponse,
  how: "cut after" | "truncated",
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  if (how === "cut after") {
    outgoing.destroy();
    return;
  }
  const body = Buffer.concat(chunks);
  const headers = Object.entries(answer.headers).filter(([name]) => name !== "transfer-encoding");
  outgoing.writeHead(answer.statusCode ?? 502, { ...Object.fromEntries(headers), "content-length": body.length });
  outgoing.write(body.subarray(0, body.length / 2), () => outgoing.destroy());
}

function kubeconfigFor(server: string, authority: string, token: string): string {
  const name = "through-the-proxy";
  const certificate = Buffer.from(authority).toString("base64");
  return dump({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name, cluster: { server, "certificate-authority-data": certificate } }],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    "current-context": name,
  });
}
