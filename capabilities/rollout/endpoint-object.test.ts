import { describe, expect, it } from "vitest";
import type { LiveService, ServiceObject } from "../kubernetes/services";
import {
  backendOf,
  endpointObject,
  endpointUrl,
  isAsWanted,
  isEndpointOf,
  modelOfEndpoint,
  stateOfEndpoint,
} from "./endpoint-object";

const IDENTITY = { uid: "1", resourceVersion: "1" };

/** A Service as the API server answers with it after an Apply. */
function applied({ metadata, spec }: ServiceObject): LiveService {
  const { selector, ports } = spec;
  return { metadata: { ...metadata, ...IDENTITY }, spec: { selector, ports: [...ports] } };
}

const KSERVES: LiveService = {
  metadata: { ...IDENTITY, name: "mlflow-iris-v1-predictor", labels: {}, annotations: {} },
  spec: {
    selector: { app: "isvc.mlflow-iris-v1-predictor" },
    ports: [
      { name: "mlflow-iris-v1-predictor", port: 80, targetPort: 8080, protocol: "TCP" },
      { name: "grpc", port: 9000, targetPort: 9000, protocol: "TCP", appProtocol: "kubernetes.io/h2c" },
    ],
  },
};
const BACKEND = {
  selector: KSERVES.spec.selector,
  ports: [{ name: "http", port: 80, targetPort: 8080, protocol: "TCP" }],
};
const STATE = { version: "2", former: { version: "1", until: Date.parse("2026-01-02T03:04:05.000Z") } };

describe("the Service of an endpoint", () => {
  it.each(["iris", "Iris model", "a/b", "ünï-\ud800", "x".repeat(300), '"quoted"', "endpoint-0123456789"])(
    "says of which model it is, and what it remembers (%j)",
    model => {
      const live = applied(endpointObject(model, "models", STATE, BACKEND));
      expect([isEndpointOf(live, model), isEndpointOf(live, `${model}x`)]).toEqual([true, false]);
      expect(modelOfEndpoint(live)).toBe(model);
      expect(stateOfEndpoint(live)).toEqual(STATE);
      expect(live.metadata.name.length).toBeLessThanOrEqual(63);
      expect(live.metadata.name).toMatch(/^mlflow-([-a-z0-9]+-)?endpoint$/);
    },
  );

  it("never has the pair of labels by which KServe deletes what it does not know", () => {
    const { labels } = endpointObject("iris", "models", STATE, BACKEND).metadata;
    expect(Object.keys(labels)).toEqual(["managed-by", "mlflow.endpoint", "mlflow.model"]);
  });

  it("is none of ours without our label, or with another name", () => {
    const live = applied(endpointObject("iris", "models", STATE, BACKEND));
    const { metadata } = live;
    expect(modelOfEndpoint({ ...live, metadata: { ...metadata, name: "other" } })).toBeUndefined();
    expect(modelOfEndpoint({ ...live, metadata: { ...metadata, labels: {} } })).toBeUndefined();
  });

  it("is as wanted after its Apply, and not when anything that it says is another", () => {
    const wanted = endpointObject("iris", "models", STATE, BACKEND);
    const live = applied(wanted);
    expect(isAsWanted(live, wanted)).toBe(true);
    const others: LiveService[] = [
      applied(endpointObject("iris", "models", { version: "2" }, BACKEND)),
      applied(endpointObject("iris", "models", { ...STATE, version: "3" }, BACKEND)),
      { ...live, spec: { ...live.spec, selector: { app: "other" } } },
      { ...live, spec: { ...live.spec, selector: { ...live.spec.selector, more: "x" } } },
      { ...live, spec: { ...live.spec, ports: [] } },
      { ...live, metadata: { ...live.metadata, labels: {} } },
    ];
    for (const other of others) expect(isAsWanted(other, wanted)).toBe(false);
    expect(isAsWanted(live, endpointObject("iris", "models", { version: "2" }, BACKEND))).toBe(false);
    const labelled = { ...live.metadata, labels: { ...live.metadata.labels, team: "a" } };
    expect(isAsWanted({ ...live, metadata: labelled }, wanted)).toBe(true);
  });
});

describe("the pods of a version", () => {
  it("are those of KServe's Service, whose port's name is the same for all versions", () => {
    expect(backendOf(KSERVES)).toEqual({
      selector: KSERVES.spec.selector,
      ports: [{ ...KSERVES.spec.ports[0], name: "http" }, KSERVES.spec.ports[1]],
    });
  });

  it("are not known where it selects none", () => {
    expect(backendOf({ ...KSERVES, spec: { selector: {}, ports: KSERVES.spec.ports } })).toBeUndefined();
  });
});

it.each([
  ["http://mlflow-iris-v1-predictor.models.svc.cluster.local", "http://mlflow-iris-endpoint.models.svc.cluster.local"],
  ["http://mlflow-iris-v1-transformer.models.svc.example:8080", "http://mlflow-iris-endpoint.models.svc.example"],
])("beside %s the endpoint answers at %s", (service, endpoint) => {
  expect(endpointUrl("iris", service)).toBe(endpoint);
});
