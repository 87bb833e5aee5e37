import { createServer, request as forward } from "node:http";
import type { AddressInfo } from "node:net";
import type { IncomingMessage, ServerResponse } from "node:http";

/** An answer of the real server, as it can be changed before it goes on. */
export interface ForwardedAnswer {
  status: number;
  contentType: string;
  body: string;
  /** Headers on top of these, for example Location or Retry-After. */
  headers?: Readonly<Record<string, string>>;
  /** true: the connection is cut in the middle of the body. */
  cut?: boolean;
}

/** Changes an answer, or leaves it alone. */
export type Tampering = (path: string, answer: ForwardedAnswer) => void | Promise<void>;

export interface TamperingProxy {
  /** Base URL to use in the server's place. */
  readonly url: string;
  /** Base URL of the server that requests go on to; may be changed. */
  target: string;
  /** How many requests came for paths that contain this text. */
  requests: (path: string) => number;
  tamper: Tampering;
  /** Changes the path and query of a request before it goes on, for example to get smaller pages. */
  rewrite: (path: string) => string;
  close: () => void;
}

/**
 * Stands between the module and a real server and changes some of its answers: for faults that the real server cannot
 * be made to produce (half a page, an empty list where there are models, a proxy's error page).
 */
export async function startTamperingProxy(target: string): Promise<TamperingProxy> {
  const paths: string[] = [];
  const proxy: TamperingProxy = {
    url: "",
    target,
    requests: path => paths.filter(one => one.includes(path)).length,
    tamper: () => undefined,
    rewrite: path => path,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
  const handle = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const path = incoming.url ?? "/";
    paths.push(path);
    const answer = await ask(new URL(proxy.rewrite(path), proxy.target), incoming);
    await proxy.tamper(path, answer);
    outgoing.writeHead(answer.status, {
      "content-type": answer.contentType,
      "content-length": Buffer.byteLength(answer.body),
      ...answer.headers,
    });
    if (answer.cut) {
      outgoing.write(answer.body.slice(0, answer.body.length / 2), () => outgoing.destroy());
      return;
    }
    outgoing.end(answer.body);
  };
  const server = createServer((incoming, outgoing) => {
    handle(incoming, outgoing).catch(() => outgoing.destroy());
  });
  await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
  return Object.assign(proxy, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}

function ask(url: URL, incoming: IncomingMessage): Promise<ForwardedAnswer> {
  return new Promise((resolve, reject) => {
    const headers = { ...incoming.headers, host: url.host };
    const outgoing = forward(url, { method: incoming.method, headers, agent: false }, answer => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("error", reject);
      answer.on("end", () => {
        resolve({
          status: answer.statusCode ?? 0,
          contentType: answer.headers["content-type"] ?? "",
          body: Buffer.concat(chunks).toString("utf8"),
        });
      });
    });
    outgoing.on("error", reject);
    incoming.pipe(outgoing);
  });
}
