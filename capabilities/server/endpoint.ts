import type { Log } from "../observability/logging";
import { startHttpServer } from "./http-server";
import type { HttpServer } from "./http-server";
import type { RoutesByPurpose } from "./routes";
import type { TlsFiles } from "./tls";

/** The module's servers, as one. */
export interface Endpoint extends HttpServer {
  /** The port of /services and /metrics; the same as `port` when one port has everything. */
  readonly operationsPort: number;
}

export interface EndpointOptions {
  /** As {@link startHttpServer} has it; both ports are on it. */
  readonly host: string | undefined;
  readonly port: number;
  /** When undefined, `port` has everything. */
  readonly operationsPort: number | undefined;
  readonly routes: RoutesByPurpose;
  readonly log: Log;
  /** Both ports speak HTTPS with it. */
  readonly tls: TlsFiles | undefined;
}

/**
 * Serves the routes on one port, or those for operations on a port of their own: what others reach then has neither the names
 * of the services nor the metrics, and a flood there takes no connection from probes and Prometheus.
 *
 * @throws Error when an address cannot be listened on; nothing is listened on then
 */
export async function startEndpoint(options: EndpointOptions): Promise<Endpoint> {
  const { host, port, operationsPort, routes, log, tls } = options;
  if (operationsPort === undefined) {
    const server = await startHttpServer({ host, port, routes: routes.all, log, tls });
    return { ...server, operationsPort: server.port };
  }
  // First, so that the other can say where it is.
  const operations = await startHttpServer({
    ...{ host, log, tls },
    port: operationsPort,
    portSetting: "OPERATIONS_PORT",
    routes: routes.operations,
  });
  try {
    const elsewhere = `the page, /services and /metrics are on the port of MLFLOW_KSERVE_OPERATIONS_PORT, ${operations.port}`;
    const server = await startHttpServer({ host, port, routes: routes.deliveries, elsewhere, log, tls });
    return {
      host: server.host,
      port: server.port,
      operationsPort: operations.port,
      async close() {
        await Promise.all([server.close(), operations.close()]);
      },
    };
  } catch (error) {
    await operations.close();
    throw error;
  }
}
