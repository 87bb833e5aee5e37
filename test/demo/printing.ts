import type { LiveInferenceService } from "../../capabilities/kserve/live-inference-service";
import type { Timed } from "../support/data-scientist";
import type { LogEntry } from "../support/module-log";

/** How the module's own part compares to what it had to wait for: the bound that it promises to stay below. */
const OWN_PART_BOUND = 2;

/** Prints what happened when, in milliseconds since the data scientist's call began. */
export function printTimeline(tag: Timed, delivery: LogEntry, readySeenAt: number): void {
  const receivedAt = Date.parse(String(delivery.fields.received_at));
  const took = Number(delivery.fields.duration_ms);
  const mlflow = Number(delivery.fields.mlflow_ms);
  const apply = Number(delivery.fields.kubernetes_ms);
  const rows: [number, string][] = [
    [0, "set_model_version_tag called in Python"],
    [receivedAt - tag.started_at, "delivery received from MLflow"],
    [
      receivedAt + took - tag.started_at,
      `InferenceService ${String(delivery.fields.action)}: the API server acknowledged the Apply`,
    ],
    [readySeenAt - tag.started_at, "InferenceService Ready=True, set by KServe's controller"],
  ];
  console.log("");
  for (const [milliseconds, what] of rows.sort(([one], [other]) => one - other)) {
    console.log(`${Math.round(milliseconds).toString().padStart(8)} ms  ${what}`);
  }
  const ratio = took / (mlflow + apply);
  console.log(
    `\nFrom delivery to acknowledged Apply ${took.toFixed(1)} ms: MLflow's answers ${mlflow.toFixed(1)} ms, the Apply ${apply.toFixed(1)} ms, ` +
      `so ${ratio.toFixed(2)} times what it had to wait for (bound: ${OWN_PART_BOUND})`,
  );
}

export function printService(live: LiveInferenceService): void {
  const { name, namespace, labels, annotations } = live.metadata;
  const conditions = live.status.conditions.map(({ type, status }) => `${type}=${status}`).join(" ");
  const lines = [
    `\nInferenceService ${namespace}/${name}`,
    `  labels       ${entries(labels)}`,
    `  annotations  ${entries(annotations)}`,
    `  spec         ${JSON.stringify(live.spec)}`,
    `  conditions   ${conditions}`,
    `  url          ${live.status.url ?? "none"}`,
  ];
  console.log(lines.join("\n"));
}

function entries(map: Readonly<Record<string, string>>): string {
  return Object.entries(map)
    .map(([name, value]) => `${name}=${value}`)
    .join("\n               ");
}
