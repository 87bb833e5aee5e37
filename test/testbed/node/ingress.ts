import { createServer, request } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { ApiServer } from "../../../capabilities/kubernetes/api-server";
import { loopbackAddress } from "./addresses";

/** As much as the ingress reads of an InferenceService. */
export interface Route {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly status?: { readonly url?: string; readonly address?: { readonly url?: string } };
}

interface EndpointSlices {
  readonly items: readonly {
    readonly ports?: readonly { readonly port?: number }[];
    readonly endpoints?: readonly {
      readonly addresses: readonly string[];
      readonly conditions?: { ready?: boolean };
    }[];
  }[];
}

/** The InferenceService that has this host name in one of its addresses. */
export function routeFor(host: string, services: readonly Route[]): Route | undefined {
  const hostOf = (url: string | undefined): string | undefined =>
    url && URL.canParse(url) ? new URL(url).hostname : undefined;
  return services.find(({ status }) => [hostOf(status?.url), hostOf(status?.address?.url)].includes(host));
}

/**
 * What an ingress and the cluster's network do together: a request for the host name of an InferenceService goes on to a
 * ready endpoint of its predictor's Service. Requests that cannot are answered 404 or 503 with the reason.
 */
export function createIngress(apiServer: ApiServer): Server {
  return createServer((incoming, outgoing) => {
    const host = (incoming.headers.host ?? "").replace(/:\d+$/, "");
    if (incoming.url === "/" && host === "127.0.0.1") {
      answer(outgoing, 200, "the testbed's ingress");
      return;
    }
    findEndpoint(apiServer, host).then(
      found => {
        if (typeof found === "string") answer(outgoing, found.startsWith("No InferenceService") ? 404 : 503, found);
        else forward(incoming, outgoing, found);
      },
      (error: unknown) => {
        answer(outgoing, 502, String(error));
      },
    );
  });
}

interface Endpoint {
  readonly address: string;
  readonly port: number;
}

async function findEndpoint(apiServer: ApiServer, host: string): Promise<Endpoint | string> {
  const services = await apiServer({ method: "GET", path: "/apis/serving.kserve.io/v1beta1/inferenceservices" });
  const route = routeFor(host, (services.body as { items: Route[] }).items);
  if (!route) return `No InferenceService has the host name ${host}`;
  const { name, namespace } = route.metadata;
  const slices = await apiServer({
    method: "GET",
    path: `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`,
    query: { labelSelector: `kubernetes.io/service-name=${name}-predictor` },
  });
  for (const { ports = [], endpoints = [] } of (slices.body as EndpointSlices).items) {
    const [address] = endpoints.find(({ conditions }) => conditions?.ready === true)?.addresses ?? [];
    const port = ports[0]?.port;
    if (address !== undefined && port !== undefined) return { address, port };
  }
  return `The Service ${namespace}/${name}-predictor has no ready endpoint`;
}

function forward(incoming: IncomingMessage, outgoing: ServerResponse, { address, port }: Endpoint): void {
  const { method, url: path, headers } = incoming;
  const call = request({ host: loopbackAddress(address), port, method, path, headers, agent: false }, response => {
    outgoing.writeHead(response.statusCode ?? 502, response.headers);
    response.pipe(outgoing);
  });
  call.once("error", error => {
    if (outgoing.headersSent) outgoing.destroy();
    else answer(outgoing, 502, `${address}: ${error.message}`);
  });
  incoming.pipe(call);
}

function answer(outgoing: ServerResponse, status: number, text: string): void {
  outgoing.writeHead(status, { "content-type": "text/plain" }).end(`${text}\n`);
}
