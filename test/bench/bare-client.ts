import http from "node:http";
import https from "node:https";
import type { RequestOptions } from "node:https";
import { kubeConfigFrom } from "../support/kube-config";

/** An answer as it came. */
export interface BareAnswer {
  readonly status: number;
  readonly text: string;
}

/** Sends requests and does nothing else: what is measured with it is the server and Node's own HTTP client. */
export interface BareClient {
  readonly send: (request: {
    readonly method: string;
    readonly path: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string | Buffer;
  }) => Promise<BareAnswer>;
  readonly close: () => void;
}

/** @param agent its connections; closed with the client */
export function createBareClient(
  base: string,
  agent: http.Agent | https.Agent,
  always: Readonly<Record<string, string>> = {},
): BareClient {
  const send = base.startsWith("https:") ? https.request : http.request;
  const origin = base.replace(/\/+$/, "");
  return {
    send: ({ method, path, headers = {}, body }) =>
      new Promise((resolve, reject) => {
        const length = body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) };
        const request = send(
          origin + path,
          { method, agent, headers: { ...always, ...headers, ...length } },
          answer => {
            let text = "";
            answer.setEncoding("utf8").on("data", (piece: string) => (text += piece));
            answer.on("error", reject);
            answer.on("end", () => {
              resolve({ status: answer.statusCode ?? 0, text });
            });
          },
        );
        request.on("error", reject);
        request.end(body);
      }),
    close: () => {
      agent.destroy();
    },
  };
}

/** A client whose connections are kept, as many as it is asked for at the same time. */
export function keptConnections(base: string): BareClient {
  return createBareClient(base, new http.Agent({ keepAlive: true }));
}

/** A client that opens a connection for each request: the faster way to read from MLflow's own server. */
export function freshConnections(base: string): BareClient {
  return createBareClient(base, new http.Agent({ keepAlive: false }));
}

/** A client of the API server with the credentials of a kubeconfig, over kept connections. */
export async function apiServerClient(kubeconfig: string): Promise<BareClient> {
  const config = kubeConfigFrom(kubeconfig);
  const server = config.getCurrentCluster()?.server;
  if (server === undefined) throw new Error(`${kubeconfig} names no cluster`);
  const options: RequestOptions = { headers: {} };
  await config.applyToHTTPSOptions(options);
  const { ca, cert, key } = options;
  const headers = Object.entries(options.headers ?? {}).filter(
    (entry): entry is [string, string] => typeof entry[1] === "string",
  );
  return createBareClient(server, new https.Agent({ keepAlive: true, ca, cert, key }), Object.fromEntries(headers));
}

/** @throws Error when the answer is none of success */
export function expectSuccess(what: string, { status, text }: BareAnswer): void {
  if (status < 200 || status > 299) throw new Error(`${what} was answered ${status}: ${text.slice(0, 300)}`);
}

/** The path of a namespace's InferenceServices in the API. */
export function collectionOf(namespace: string): string {
  return `/apis/serving.kserve.io/v1beta1/namespaces/${namespace}/inferenceservices`;
}
