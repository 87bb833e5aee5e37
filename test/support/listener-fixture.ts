import { randomUUID } from "node:crypto";
import { afterEach, inject } from "vitest";
import { readConfiguration } from "../../capabilities/configuration/configuration";
import { connectToApiServer } from "../../capabilities/kubernetes/api-server";
import type { ApiServer } from "../../capabilities/kubernetes/api-server";
import { createInferenceServices } from "../../capabilities/kserve/inference-services";
import type { InferenceServices } from "../../capabilities/kserve/inference-services";
import { createListener } from "../../capabilities/module";
import type { RenewableAccess } from "../../capabilities/mlflow/access";
import type { Listener } from "../../capabilities/module";
import type { ModelVersionKey } from "../../capabilities/support/model-version-key";
import type { RotatingSecret } from "../../capabilities/configuration/rotating-secret";
import { sign } from "../../capabilities/server/webhook/signature";
import { createNamespace } from "../testbed/namespaces";
import { kubeConfigFrom } from "./kube-config";
import { listManaged } from "./managed-services";
import { recordingLog } from "./unit/recording-log";
import type { RecordedLine } from "./unit/recording-log";

export const SECRET = "a secret that only MLflow and the module know";

/** An answer of the endpoint. */
export interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** The module without Pepr, running in the test's process between the real MLflow and the real API server. */
export interface RunningListener {
  readonly listener: Listener;
  readonly services: InferenceServices;
  readonly namespace: string;
  /** Base URL of the endpoint. */
  readonly url: string;
  readonly logged: readonly RecordedLine[];
  /** Names of the module's services in the cluster; one that is on its way out (KServe's finalizer) is none. */
  deployed: () => Promise<string[]>;
  /** Sends a delivery as MLflow would: signed, now, about the deploy tag of a version. */
  deliver: (key: ModelVersionKey, action?: "set" | "deleted") => Promise<Answer>;
  /** Sends any body to /webhook; headers are those of a correct delivery unless given (undefined leaves one out). */
  send: (body: string | Buffer, headers?: Readonly<Record<string, string | undefined>>) => Promise<Answer>;
}

export interface ListenerFixtureOptions {
  readonly mlflowTrackingUri?: string;
  readonly namespace?: string;
  /**
   * Settings without their prefix. One that polls needs a DEPLOY_TAG_KEY of its own, or its poll deploys what all other
   * tests have tagged in the same MLflow, and KServe is busy with that for minutes.
   */
  readonly settings?: Readonly<Record<string, string>>;
  readonly webhookSecret?: RotatingSecret;
  /** How MLflow is called, where that changes meanwhile. */
  readonly renewableAccess?: RenewableAccess;
  /** MLflow's own variables. */
  readonly mlflowVariables?: Readonly<Record<string, string>>;
  /** The installation's id, as a pod has it. */
  readonly installation?: string;
  /** Puts something between the module and the API server, to change the world at a certain moment. */
  readonly wrapApiServer?: (apiServer: ApiServer) => ApiServer;
}

const running: Listener[] = [];

// Runs after each test of a file that imports this one.
afterEach(async () => {
  await Promise.all(running.splice(0).map(listener => listener.stop()));
});

/** Starts a listener with a namespace of its own; it is stopped when the test has ended. */
export async function startListener(options: ListenerFixtureOptions = {}): Promise<RunningListener> {
  const namespace = options.namespace ?? (await createNamespace("test"));
  const settings = {
    MLFLOW_TRACKING_URI: options.mlflowTrackingUri ?? inject("mlflowTrackingUri"),
    MLFLOW_WEBHOOK_SECRET: SECRET,
    APP_HOST: "127.0.0.1",
    APP_PORT: "0",
    KUBE_NAMESPACE: namespace,
    LOG_LEVEL: "DEBUG",
    ...options.settings,
  };
  const environment = Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [`MLFLOW_KSERVE_${name}`, value]),
  );
  const { log, lines: logged } = recordingLog();
  const apiServer = connectToApiServer(15_000, kubeConfigFrom(inject("kubeconfig")));
  const listener = createListener({
    ...readConfiguration({ ...environment, ...options.mlflowVariables }),
    apiServer: options.wrapApiServer?.(apiServer) ?? apiServer,
    log,
    webhookSecret: options.webhookSecret,
    renewableAccess: options.renewableAccess,
    installation: options.installation,
    showsPage: true,
  });
  running.push(listener);
  const { port } = await listener.serve(true);
  const url = `${options.settings?.TLS_CERT_FILE === undefined ? "http" : "https"}://127.0.0.1:${port}`;

  const send: RunningListener["send"] = async (body, headers = {}) => {
    const bytes = Buffer.from(body);
    const deliveryId = randomUUID();
    const timestamp = headers["x-mlflow-timestamp"] ?? String(Math.floor(Date.now() / 1000));
    const all: Record<string, string | undefined> = {
      "content-type": "application/json",
      "x-mlflow-delivery-id": deliveryId,
      "x-mlflow-timestamp": timestamp,
      "x-mlflow-signature": sign(SECRET, deliveryId, timestamp, bytes),
      ...headers,
    };
    const given = Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined);
    const response = await fetch(`${url}/webhook`, { method: "POST", body: bytes, headers: given });
    return { status: response.status, body: (await response.json()) as Answer["body"] };
  };
  const services = createInferenceServices(apiServer, namespace);
  return {
    listener,
    namespace,
    url,
    logged,
    services,
    send,
    async deployed() {
      const live = await listManaged(services);
      return live
        .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
        .map(({ metadata }) => metadata.name);
    },
    deliver: ({ model, version }, action = "set") => {
      const value = action === "set" ? { value: "true" } : {};
      const data = { name: model, version, key: options.settings?.DEPLOY_TAG_KEY ?? "deploy", ...value };
      return send(JSON.stringify({ entity: "model_version_tag", action, timestamp: new Date().toISOString(), data }));
    },
  };
}

/** A model name that no other test has, with what the test is about. */
export function uniqueModel(about: string): string {
  return `${about}-${randomUUID().slice(0, 8)}`;
}
