import { labelValue, MANAGED_BY, MANAGED_BY_LABEL, MODEL_LABEL, originalsOf, storable } from "../kserve/identity";
import { endpointName } from "../kserve/names";
import type { LiveService, ServiceObject, ServicePort } from "../kubernetes/services";
import type { EndpointState } from "./endpoint-decision";

/** Label of the Services that are endpoints, by which all of them are found; its value is the model's label. */
export const ENDPOINT_LABEL = "mlflow.endpoint";

const MODEL_ANNOTATION = MODEL_LABEL;
/** Annotations: the version that gets the traffic, the one before, and until when that one stays. */
const VERSION_ANNOTATION = "mlflow.endpoint-version";
const FORMER_ANNOTATION = "mlflow.endpoint-former";
const UNTIL_ANNOTATION = "mlflow.endpoint-former-until";

/** The pods of a version that take requests, as KServe's Service for them says. */
export interface Backend {
  readonly selector: Readonly<Record<string, string>>;
  readonly ports: readonly ServicePort[];
}

/**
 * What KServe's Service says about a version's pods; undefined where it selects none, as in Knative mode, whose Services lead
 * to Knative's gateway by name.
 */
export function backendOf({ metadata, spec }: LiveService): Backend | undefined {
  if (Object.keys(spec.selector).length === 0 || spec.ports.length === 0) return undefined;
  // A port without a name in the runtime is called like the Service, of which each version has another one.
  const named = (name: string): string => (name === "" || name === metadata.name ? "http" : name);
  const ports = spec.ports.map(port => ({ ...port, name: named(port.name), targetPort: port.targetPort ?? port.port }));
  return { selector: spec.selector, ports };
}

/** KServe's Service of a version, and its address, as KServe tells the address; undefined where that says none. */
export function placeOf(address: string | undefined): { readonly service: string; readonly url: string } | undefined {
  if (address === undefined || !URL.canParse(address)) return undefined;
  return { service: new URL(address).hostname.split(".")[0] ?? "", url: address };
}

/** Whether a Service is the endpoint of this model, made by this module. */
export function isEndpointOf({ metadata: { name, labels, annotations } }: LiveService, model: string): boolean {
  return (
    labels[MANAGED_BY_LABEL] === MANAGED_BY &&
    labels[ENDPOINT_LABEL] === labelValue(model) &&
    annotations[MODEL_ANNOTATION] === storable(model) &&
    name === endpointName(model)
  );
}

/** The model whose endpoint a Service is; undefined where it is none that this module made. */
export function modelOfEndpoint(live: LiveService): string | undefined {
  return originalsOf(live.metadata.annotations[MODEL_ANNOTATION] ?? "").find(model => isEndpointOf(live, model));
}

/** What an endpoint remembers; undefined where its annotations do not say. */
export function stateOfEndpoint({ metadata: { annotations } }: LiveService): EndpointState | undefined {
  const version = annotations[VERSION_ANNOTATION];
  if (version === undefined || version === "") return undefined;
  const former = annotations[FORMER_ANNOTATION];
  const until = Date.parse(annotations[UNTIL_ANNOTATION] ?? "");
  if (former === undefined || Number.isNaN(until)) return { version };
  return { version, former: { version: former, until } };
}

/** The endpoint as it should be, with all that Kubernetes would fill in, so that nobody sees a difference. */
export function endpointObject(
  model: string,
  namespace: string,
  { version, former }: EndpointState,
  backend: Backend,
): ServiceObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name: endpointName(model),
      namespace,
      labels: {
        [MANAGED_BY_LABEL]: MANAGED_BY,
        [ENDPOINT_LABEL]: labelValue(model),
        [MODEL_LABEL]: labelValue(model),
      },
      annotations: {
        [MODEL_ANNOTATION]: storable(model),
        [VERSION_ANNOTATION]: version,
        ...(former && {
          [FORMER_ANNOTATION]: former.version,
          [UNTIL_ANNOTATION]: new Date(former.until).toISOString(),
        }),
      },
    },
    spec: {
      type: "ClusterIP",
      selector: backend.selector,
      ports: backend.ports,
      sessionAffinity: "None",
      internalTrafficPolicy: "Cluster",
    },
  };
}

/** Whether an endpoint is as it should be, in all that the module says about it. */
export function isAsWanted(live: LiveService, { metadata, spec }: ServiceObject): boolean {
  const hasAll = (wanted: Readonly<Record<string, string>>, found: Readonly<Record<string, string>>): boolean =>
    Object.entries(wanted).every(([key, value]) => found[key] === value);
  const hasNoOther = [VERSION_ANNOTATION, FORMER_ANNOTATION, UNTIL_ANNOTATION].every(
    key => live.metadata.annotations[key] === metadata.annotations[key],
  );
  return (
    hasNoOther &&
    hasAll(metadata.labels, live.metadata.labels) &&
    hasAll(metadata.annotations, live.metadata.annotations) &&
    sorted(live.spec.selector) === sorted(spec.selector) &&
    JSON.stringify(live.spec.ports.map(portKey)) === JSON.stringify(spec.ports.map(portKey))
  );
}

/** The address of an endpoint beside that of a service of one of its versions: only the name in front is another. */
export function endpointUrl(model: string, serviceUrl: string): string {
  const url = new URL(serviceUrl);
  const [, ...domain] = url.hostname.split(".");
  const host = [endpointName(model), ...domain].join(".");
  return `http://${host}`;
}

function sorted(map: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(map).sort(([one], [other]) => one.localeCompare(other)));
}

function portKey({ name, port, targetPort, protocol, appProtocol }: ServicePort): unknown {
  return [name, port, targetPort, protocol, appProtocol];
}
