import type { Settings } from "./configuration/settings";
import { createSignatureReader } from "./mlflow/model-signature";
import type { MlflowTransport } from "./mlflow/transport";
import { readDeliveryMetrics } from "./observability/delivery-counts";
import type { ModuleStatus } from "./observability/health";
import type { Metrics } from "./observability/metrics";
import type { DeliveryReport } from "./status/delivery-history";
import { createPageSource } from "./status/page-source";
import type { PageSourceOptions } from "./status/page-source";
import type { PageSource } from "./status/published";
import { createWebhookPods } from "./status/webhook-pods";

type Given = "publishing" | "apiServer" | "services" | "mlflow" | "health" | "log";

export interface StatusPageOptions extends Pick<PageSourceOptions, Given> {
  readonly settings: Settings;
  /** Whether this process takes MLflow's deliveries; otherwise others do, if any does. */
  readonly takesDeliveries: boolean;
  readonly status: () => ModuleStatus;
  readonly metrics: Pick<Metrics, "render">;
  /** For what is read of models. That one has no such file is no failure of MLflow's. */
  readonly transport: MlflowTransport;
}

/** What the status page shows; it is to be stopped. */
export interface StatusPage extends PageSource {
  readonly stop: () => void;
}

/** The status page of the process that polls. */
export function createStatusPage(options: StatusPageOptions): StatusPage {
  const { settings, transport, ...given } = options;
  return createPageSource({
    ...given,
    readSignature: createSignatureReader(transport),
    deliveryReports: deliveryReportsFor(options),
    mlflowPublicUrl: settings.MLFLOW_PUBLIC_URL,
    pollingInterval: settings.POLLING_INTERVAL * 1000,
  });
}

/** Where no process takes deliveries, this one's mode says so. */
function deliveryReportsFor(options: StatusPageOptions): PageSourceOptions["deliveryReports"] {
  const { DISABLE_WEBHOOKS: isDisabled, WEBHOOK_PODS_URL: url, TLS_CERT_FILE: certFile } = options.settings;
  if (options.takesDeliveries || isDisabled) return () => ownReport(options);
  return url === undefined ? undefined : createWebhookPods({ url, certFile });
}

async function ownReport({
  status,
  metrics,
}: Pick<StatusPageOptions, "status" | "metrics">): Promise<DeliveryReport[]> {
  const { mode, cause } = status();
  const { startedAt, counts } = readDeliveryMetrics(await metrics.render());
  return [{ name: "this process", mode, cause, startedAt, counts }];
}
