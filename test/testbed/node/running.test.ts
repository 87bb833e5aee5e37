import { describe, expect, it } from "vitest";
import { loopbackAddress, podAddress } from "./addresses";
import { restartDelay } from "./container-run";
import { environmentOf, expand } from "./environment";
import { routeFor } from "./ingress";
import type { Container, Pod } from "./pod";
import { afterProbe } from "./probes";

describe("A container that crashes", () => {
  it("is started again at once, then after 10 seconds, doubling up to five minutes", () => {
    expect([1, 2, 3, 4, 5, 6, 7, 8].map(restartDelay)).toEqual([0, 10, 20, 40, 80, 160, 300, 300]);
  });
});

describe("Readiness", () => {
  it("comes with the first good answer and goes with the third bad one in a row", () => {
    const answers = [false, true, false, false, true, false, false, false];
    let known = { ready: false, contrary: 0 };
    const seen = answers.map(answer => {
      known = afterProbe(known, answer, { failureThreshold: 3 });
      return known.ready;
    });
    expect(seen).toEqual([false, true, true, true, true, true, true, false]);
  });
});

describe("The variables of a container", () => {
  const pod: Pod = { metadata: { name: "pod", namespace: "models", uid: "1" }, spec: { containers: [] } };
  const withVariables = (env: Container["env"]): Container => ({
    name: "server",
    image: "mlserver",
    ...(env && { env }),
  });
  const readKey = (kind: string, namespace: string, { name, key }: { name: string; key: string }) =>
    Promise.resolve(key === "there" ? `${kind}/${namespace}/${name}` : undefined);

  it("come from the specification, from Secrets of the namespace and from the pod's fields", async () => {
    const env = [
      { name: "PLAIN", value: "1" },
      { name: "SECRET", valueFrom: { secretKeyRef: { name: "s3", key: "there" } } },
      { name: "ADDRESS", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
      { name: "MAYBE", valueFrom: { configMapKeyRef: { name: "c", key: "missing", optional: true } } },
      { name: "COMPOSED", value: "$(PLAIN)-$(UNKNOWN)-$$(PLAIN)" },
    ];
    expect(await environmentOf(withVariables(env), pod, "10.64.1.1", readKey)).toEqual({
      PLAIN: "1",
      SECRET: "secrets/models/s3",
      ADDRESS: "10.64.1.1",
      COMPOSED: "1-$(UNKNOWN)-$(PLAIN)",
    });
  });

  it("are refused when a Secret is missing", async () => {
    const env = [{ name: "SECRET", valueFrom: { secretKeyRef: { name: "s3", key: "missing" } } }];
    await expect(environmentOf(withVariables(env), pod, "10.64.1.1", readKey)).rejects.toThrow(
      'secrets "s3" with the key missing not found for the variable SECRET',
    );
  });

  it("are not taken for names that every object has", () => {
    expect(expand("$(constructor)", {})).toBe("$(constructor)");
  });
});

describe("The pods' addresses", () => {
  it("are all different, and each one is a loopback address here", () => {
    const addresses = Array.from({ length: 1000 }, (_, number) => podAddress(number));
    expect(new Set(addresses).size).toBe(1000);
    expect(addresses.slice(252, 256)).toEqual(["10.64.1.253", "10.64.1.254", "10.64.2.1", "10.64.2.2"]);
    expect(loopbackAddress("10.64.2.1")).toBe("127.64.2.1");
  });
});

describe("The ingress", () => {
  const service = {
    metadata: { name: "iris", namespace: "models" },
    status: {
      url: "http://iris-models.example.com",
      address: { url: "http://iris-predictor.models.svc.cluster.local" },
    },
  };
  const starting = { metadata: { name: "new", namespace: "models" } };

  it("knows an InferenceService by each of its host names, and by nothing else", () => {
    const services = [starting, service];
    expect(routeFor("iris-models.example.com", services)).toBe(service);
    expect(routeFor("iris-predictor.models.svc.cluster.local", services)).toBe(service);
    expect(routeFor("iris.example.com", services)).toBeUndefined();
    expect(routeFor("", services)).toBeUndefined();
  });
});
