import type { ModelVersionKey } from "../../../capabilities/support/model-version-key";
import { createMetrics } from "../../../capabilities/observability/metrics";
import type { Outcome } from "../../../capabilities/reconciliation/reconciler";
import type { JsonAnswer } from "../../../capabilities/server/answers";
import { createDeliveryHandler } from "../../../capabilities/server/webhook/deliveries";
import type { HttpRequest } from "../../../capabilities/server/http-server";
import { sign } from "../../../capabilities/server/webhook/signature";
import { recordingLog } from "./recording-log";
import type { RecordedLine } from "./recording-log";

export const EVENT = {
  entity: "model_version_tag",
  action: "set",
  timestamp: "2026-01-02T03:04:05Z",
  data: { name: "iris", version: "3", key: "deploy", value: "true" },
};
export const BODY = JSON.stringify(EVENT);
export const ID = "7d8f3c1e-0000-4000-8000-000000000001";
const JSON_TYPE = { "content-type": "application/json" };
export const OUTCOME: Outcome = {
  action: "created",
  inferenceService: "mlflow-iris-v3",
  namespace: "models",
  mlflowMilliseconds: 12.5,
  kubernetesMilliseconds: 7.25,
};

/** How the handler differs from the usual one. */
interface Setup {
  readonly reconcile?: (key: ModelVersionKey) => Promise<Outcome>;
  readonly secrets?: () => readonly string[];
  readonly maximumUnderWay?: number;
  /** Changes the request itself. */
  readonly request?: Partial<HttpRequest>;
}

/** A handler of deliveries with a log and metrics of its own, and a sender who has its secret. */
export function setUpDeliveries(setup: Setup = {}): {
  readonly lines: readonly RecordedLine[];
  readonly reconciled: readonly ModelVersionKey[];
  /** The lines of the metrics that begin so and are not 0. */
  readonly counted: (name: string) => Promise<string[]>;
  readonly deliver: (body?: string, headers?: Readonly<Record<string, string | undefined>>) => Promise<JsonAnswer>;
} {
  const { reconcile = () => Promise.resolve(OUTCOME), secrets = () => ["geheim"], maximumUnderWay } = setup;
  const { log, lines } = recordingLog();
  const metrics = createMetrics();
  const reconciled: ModelVersionKey[] = [];
  const handler = createDeliveryHandler({
    secrets,
    followed: { deployTagKey: "deploy", aliases: ["champion"] },
    namespace: "models",
    reconcile: key => {
      reconciled.push(key);
      return reconcile(key);
    },
    reconcileModel: (model, version) => {
      if (version === undefined) return Promise.resolve(undefined);
      reconciled.push({ model, version });
      return reconcile({ model, version });
    },
    log,
    maximumUnderWay,
    metrics,
  });
  const counted = async (name: string): Promise<string[]> =>
    (await metrics.render()).split("\n").filter(line => line.startsWith(name) && !line.endsWith(" 0"));
  const deliver = (body = BODY, headers: Readonly<Record<string, string | undefined>> = {}): Promise<JsonAnswer> => {
    const bytes = Buffer.from(body);
    const timestamp = headers["x-mlflow-timestamp"] ?? String(Math.floor(Date.now() / 1000));
    const signature = sign("geheim", ID, timestamp, bytes);
    const correct = {
      ...JSON_TYPE,
      "x-mlflow-delivery-id": ID,
      "x-mlflow-timestamp": timestamp,
      "x-mlflow-signature": signature,
    };
    const all: Readonly<Record<string, string | undefined>> = { ...correct, ...headers };
    return handler({
      id: ID,
      header: name => all[name],
      query: new URLSearchParams(),
      body: () => Promise.resolve(bytes),
      closing: false,
      ...setup.request,
    });
  };
  return { lines, reconciled, counted, deliver };
}
