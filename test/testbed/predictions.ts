import type { KubernetesObject } from "./cluster-api";
import type { Kubectl } from "./kubectl";
import type { ObjectStorage } from "./object-storage";

/** How pods come to the node that runs predictors: only those that ask for it and bear its taint. */
export const PREDICTOR_NODE = {
  name: "predictor-node",
  labels: { "mlflow-kserve/predictors": "run" },
  taint: { key: "mlflow-kserve/predictors", value: "run", effect: "NoSchedule" },
} as const;

/** What it takes to have predictors run and to ask them. */
export interface Predictions {
  /** Base URL of the ingress: it leads to the InferenceService whose host name a request has in its Host header. */
  readonly ingress: string;
  readonly storage: ObjectStorage;
  /** The folder with the logs of the containers: <namespace>_<pod>_<container>.log. */
  readonly podLogs: string;
}

const PLACE = { namespace: "testbed", name: "predictions" };

/** The objects by which whoever has a kubeconfig of the testbed finds what predictions need. */
export function predictionObjects(predictions: Predictions): KubernetesObject[] {
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: PLACE.namespace } },
    {
      apiVersion: "v1",
      kind: "Secret",
      metadata: PLACE,
      stringData: { predictions: JSON.stringify(predictions) },
    } as KubernetesObject,
  ];
}

/** What predictions need in this cluster; undefined when it is not the testbed's, or MLflow's storage is not. */
export async function findPredictions(kubectl: Kubectl): Promise<Predictions | undefined> {
  const json = await kubectl(["get", "secret", PLACE.name, "-n", PLACE.namespace, "--ignore-not-found", "-o", "json"]);
  if (json === "") return undefined;
  const { data } = JSON.parse(json) as { data: { predictions: string } };
  return JSON.parse(Buffer.from(data.predictions, "base64").toString("utf8")) as Predictions;
}

/**
 * Has the pods of a namespace run for real, on the node that runs predictors, and gives KServe there the credentials for
 * MLflow's artifacts: in a Secret with KServe's annotations, at the ServiceAccount that predictors use. In any other
 * namespace pods are simulated.
 */
export async function runPredictorsIn(namespace: string, { storage }: Predictions, kubectl: Kubectl): Promise<void> {
  const { taint, labels } = PREDICTOR_NODE;
  const toleration = { key: taint.key, operator: "Equal", value: taint.value, effect: taint.effect };
  const selector = Object.entries(labels).map(([name, value]) => `${name}=${value}`);
  const objects = [
    {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: {
        name: namespace,
        annotations: {
          "scheduler.alpha.kubernetes.io/node-selector": selector.join(","),
          "scheduler.alpha.kubernetes.io/defaultTolerations": JSON.stringify([toleration]),
        },
      },
    },
    {
      apiVersion: "v1",
      kind: "Secret",
      metadata: {
        name: "mlflow-artifacts",
        namespace,
        annotations: {
          "serving.kserve.io/s3-endpoint": storage.endpoint,
          "serving.kserve.io/s3-usehttps": "0",
          "serving.kserve.io/s3-region": storage.region,
        },
      },
      stringData: { AWS_ACCESS_KEY_ID: storage.accessKey, AWS_SECRET_ACCESS_KEY: storage.secretKey },
    },
    {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: "default", namespace },
      secrets: [{ name: "mlflow-artifacts" }],
    },
  ];
  const list = JSON.stringify({ apiVersion: "v1", kind: "List", items: objects });
  await kubectl(["apply", "--server-side", "--field-manager=testbed", "-f", "-"], list);
}
