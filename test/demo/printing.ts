import type { LiveInferenceService } from "../../capabilities/kserve/live-inference-service";
import type { Timed } from "../support/data-scientist";
import type { LogLine } from "../support/replica";
import { inferencePath } from "../testbed/inference";
import type { InferenceRequest, ModelAddress } from "../testbed/inference";
import type { Progress } from "./predictor-progress";

/** How the module's own part compares to what it had to wait for: the bound that it promises to stay below. */
const OWN_PART_BOUND = 2;

/** When a version's service was seen Ready, and what else was seen of it: Unix milliseconds. */
export interface Sightings {
  readonly ready: number;
  readonly progress?: Progress;
  /** When the first prediction had come back. */
  readonly answered?: number;
}

/** Prints what happened when, in milliseconds since the data scientist's call began, and how long each part took. */
export function printTimeline(tag: Timed, delivery: LogLine, { ready, progress, answered }: Sightings): void {
  const receivedAt = Date.parse(String(delivery.received_at));
  const took = Number(delivery.duration_ms);
  const mlflow = Number(delivery.mlflow_ms);
  const apply = Number(delivery.kubernetes_ms);
  const applied = receivedAt + took;
  const rows: [number, string][] = [
    [tag.started_at, "set_model_version_tag called in Python"],
    [receivedAt, "delivery received from MLflow"],
    [applied, `InferenceService ${String(delivery.action)}: the API server acknowledged the Apply`],
    [ready, "InferenceService Ready=True, set by KServe's controller"],
  ];
  if (progress && answered !== undefined) {
    rows.push(
      [progress.bound, "KServe's Deployment has its pod, and the pod a node"],
      [progress.downloaded, "storage-initializer has downloaded the artifacts"],
      [progress.started, "MLServer's process runs"],
      [progress.ready, "its readiness probe passed"],
      [answered, "the first prediction is there"],
    );
  }
  console.log("");
  for (const [at, what] of rows.sort(([one], [other]) => one - other)) {
    console.log(
      `${Math.round(at - tag.started_at)
        .toString()
        .padStart(8)} ms  ${what}`,
    );
  }
  const ratio = took / (mlflow + apply);
  console.log(
    `\nFrom delivery to acknowledged Apply ${took.toFixed(1)} ms: MLflow's answers ${mlflow.toFixed(1)} ms, the Apply ${apply.toFixed(1)} ms, ` +
      `so ${ratio.toFixed(2)} times what it had to wait for (bound: ${OWN_PART_BOUND})`,
  );
  if (progress && answered !== undefined) {
    const parts: [string, number][] = [
      ["delivery", receivedAt - tag.started_at],
      ["Apply", took],
      ["KServe", progress.bound - applied],
      ["download", progress.downloaded - progress.bound],
      ["model load", answered - progress.downloaded],
    ];
    const list = parts.map(([name, milliseconds]) => `${name} ${(milliseconds / 1000).toFixed(1)} s`).join(", ");
    console.log(`From tag to first prediction ${((answered - tag.started_at) / 1000).toFixed(1)} s: ${list}`);
  }
}

/** Prints what the module made, and what KServe says about it. */
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

/** Prints a prediction as it went over the wire, beside what the model says in Python. */
export function printPrediction(
  { host, model }: ModelAddress,
  request: InferenceRequest,
  answer: string,
  inPython: readonly number[],
): void {
  const lines = [
    `\nPOST http://${host}${inferencePath(model)}`,
    `  request    ${JSON.stringify(request)}`,
    `  answer     ${answer}`,
    `  in Python  ${JSON.stringify(inPython)}, by mlflow.pyfunc.load_model: equal`,
  ];
  console.log(lines.join("\n"));
}

/** The command that asks a model from a shell. */
export function curlCommand({ ingress, host, model }: ModelAddress, request: InferenceRequest): string {
  return (
    `curl -H 'Host: ${host}' -H 'Content-Type: application/json' \\\n` +
    `    -d '${JSON.stringify(request)}' \\\n    ${ingress}${inferencePath(model)}`
  );
}

function entries(map: Readonly<Record<string, string>>): string {
  return Object.entries(map)
    .map(([name, value]) => `${name}=${value}`)
    .join("\n               ");
}
