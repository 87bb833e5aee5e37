import { expect, inject, test, vi } from "vitest";
import { createNamespace, testKubectl } from "../testbed/namespaces";

interface InferenceService {
  status?: { url?: string; conditions?: { type: string; status: string }[] };
}

function inferenceService(name: string, predictor: Record<string, unknown> = {}): string {
  return JSON.stringify({
    apiVersion: "serving.kserve.io/v1beta1",
    kind: "InferenceService",
    metadata: { name },
    spec: {
      predictor: {
        ...predictor,
        model: {
          modelFormat: { name: "mlflow" },
          protocolVersion: "v2",
          storageUri: "s3://models/iris/1",
          resources: { requests: { cpu: "100m", memory: "256Mi" }, limits: { cpu: "1", memory: "1Gi" } },
        },
      },
    },
  });
}

test("KServe's controller makes an InferenceService Ready, with a URL", async () => {
  const kubectl = testKubectl();
  const namespace = await createNamespace("ready");

  await kubectl(["apply", "--server-side", "-n", namespace, "-f", "-"], inferenceService("iris"));
  await kubectl(["wait", "-n", namespace, "inferenceservice/iris", "--for=condition=Ready", "--timeout=180s"]);

  const json = await kubectl(["get", "-n", namespace, "inferenceservice/iris", "-o", "json"]);
  const { status } = JSON.parse(json) as InferenceService;
  expect(status?.conditions).toContainEqual(expect.objectContaining({ type: "Ready", status: "True" }));
  expect(status?.url).toBe(`http://iris-${namespace}.example.com`);
});

test("KServe's pod webhook adds the container that fetches the model", async () => {
  const kubectl = testKubectl();
  const namespace = await createNamespace("pods");

  await kubectl(["apply", "--server-side", "-n", namespace, "-f", "-"], inferenceService("iris"));
  await kubectl(["wait", "-n", namespace, "inferenceservice/iris", "--for=condition=Ready", "--timeout=180s"]);

  const names = "jsonpath={.items[*].spec.initContainers[*].name}";
  expect(await kubectl(["get", "pods", "-n", namespace, "-o", names])).toBe("storage-initializer");
});

test("KServe's validating webhook refuses a name that no host can have", async () => {
  const kubectl = testKubectl();
  const namespace = await createNamespace("names");

  const applying = kubectl(["apply", "--server-side", "-n", namespace, "-f", "-"], inferenceService("iris.v1"));

  await expect(applying).rejects.toThrow('admission webhook "inferenceservice.kserve-webhook-server.validator" denied');
});

test("KServe's validating webhook refuses more replicas at the least than at the most", async () => {
  const kubectl = testKubectl();
  const namespace = await createNamespace("replicas");

  const bad = inferenceService("iris", { minReplicas: 3, maxReplicas: 2 });
  const applying = kubectl(["apply", "--server-side", "-n", namespace, "-f", "-"], bad);

  await expect(applying).rejects.toThrow('admission webhook "inferenceservice.kserve-webhook-server.validator" denied');
});

test("a ServiceAccount's token is a valid one, and may do only what its roles say", async () => {
  const kubectl = testKubectl();
  const namespace = await createNamespace("accounts");
  const account = `system:serviceaccount:${namespace}:default`;
  await vi.waitUntil(
    async () => kubectl(["get", "serviceaccount", "default", "-n", namespace]).catch(() => ""),
    10_000,
  );

  const token = await kubectl(["create", "token", "default", "-n", namespace]);
  const review = { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token } };
  const username = ["-o", "jsonpath={.status.user.username}"];

  expect(await kubectl(["create", "-f", "-", ...username], JSON.stringify(review))).toBe(account);
  await expect(kubectl(["get", "pods", "-n", namespace, "--as", account])).rejects.toThrow("Forbidden");
});

test("MLflow answers", async () => {
  const uri = inject("mlflowTrackingUri");

  const response = await fetch(`${uri}/api/2.0/mlflow/registered-models/search`);

  expect(response.status).toBe(200);
});
