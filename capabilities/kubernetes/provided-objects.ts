import { MANAGED_BY, MANAGED_BY_LABEL } from "../kserve/identity";

/** Name of the Service through which MLflow reaches the endpoint. */
export const ENDPOINT_SERVICE = "mlflow-kserve-webhook-listener";

/** Where the endpoint listens unless the settings say otherwise. */
const HTTP_PORT = 8000;
const HTTPS_PORT = 8443;

/**
 * Labels of the pods that have the endpoint, as Pepr puts them on its admission Deployment: `app` is `pepr-` and the
 * module's uuid in package.json.
 */
const ENDPOINT_PODS = { app: "pepr-mlflow-kserve", "pepr.dev/controller": "admission" };

/** An object that the module provides for itself, and where the API server keeps it. */
export interface ProvidedObject {
  /** Kind, namespace and name, for a person. */
  readonly description: string;
  /** Absolute path in the API. */
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** What a person can do when the module may not do it. */
  readonly cure: string;
}

/** What decides how the endpoint is reached. */
export interface EndpointAddress {
  readonly port: number;
  readonly isHttps: boolean;
}

/**
 * The Service of the endpoint: `http` on port 80 and `https` on port 443. The endpoint speaks one of them; the Service's
 * port for that one leads to where it listens, the other to where it would listen by default.
 *
 * @param namespace the module's own
 */
export function endpointService(namespace: string, { port, isHttps }: EndpointAddress): ProvidedObject {
  const ports = [
    { name: "http", port: 80, targetPort: isHttps ? HTTP_PORT : port, protocol: "TCP" },
    { name: "https", port: 443, targetPort: isHttps ? port : HTTPS_PORT, protocol: "TCP" },
  ];
  const name = ENDPOINT_SERVICE;
  return {
    description: `Service ${namespace}/${name}`,
    path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/services/${name}`,
    body: {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name, namespace, labels: ours() },
      spec: { selector: ENDPOINT_PODS, ports },
    },
    cure: `kubectl apply -n ${namespace} -f k8s/base/service.yaml`,
  };
}

/** The namespace of the InferenceServices. */
export function targetNamespace(name: string): ProvidedObject {
  return {
    description: `Namespace ${name}`,
    path: `/api/v1/namespaces/${encodeURIComponent(name)}`,
    body: { apiVersion: "v1", kind: "Namespace", metadata: { name, labels: ours() } },
    cure: `kubectl create namespace ${name}`,
  };
}

function ours(): Record<string, string> {
  return { [MANAGED_BY_LABEL]: MANAGED_BY };
}
