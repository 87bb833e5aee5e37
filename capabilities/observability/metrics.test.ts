import { describe, expect, it } from "vitest";
import { createMetrics } from "./metrics";
import type { Metrics, ServiceCounts } from "./metrics";

async function linesOf(metrics: Metrics, name: string): Promise<string[]> {
  return (await metrics.render()).split("\n").filter(line => line.startsWith(name));
}

const UNKNOWN = ["x", "constructor", "", "a\nb{}", "é".repeat(10_000)];

describe("createMetrics", () => {
  // What is known is there from the start.
  it.each<[string, (metrics: Metrics, value: string) => void, number]>([
    [
      "webhook_events_total",
      (metrics, value) => {
        metrics.eventReceived(value, value);
      },
      4,
    ],
    [
      "inference_service_operations_total",
      (metrics, value) => {
        metrics.operation(value, value);
      },
      13,
    ],
    [
      "mlflow_api_errors_total",
      (metrics, value) => {
        metrics.mlflowError(value);
      },
      5,
    ],
    [
      "kubernetes_api_errors_total",
      (metrics, value) => {
        metrics.kubernetesError(value);
      },
      18,
    ],
  ])("has one series of %s for all values that it does not know", async (name, count, series) => {
    const metrics = createMetrics();
    for (const value of UNKNOWN) count(metrics, value);
    const lines = await linesOf(metrics, name);
    expect(lines).toHaveLength(series);
    expect(lines.at(-1)).toMatch(/="other"[^ ]* 5$/);
  });

  it("knows what MLflow, Kubernetes and the module name", async () => {
    const metrics = createMetrics();
    metrics.eventReceived("model_version_tag", "set");
    metrics.operation("create", "success");
    metrics.mlflowError("unreachable");
    metrics.kubernetesError("Forbidden");
    const text = await metrics.render();
    expect(text).toContain('webhook_events_total{entity="model_version_tag",action="set"} 1\n');
    expect(text).toContain('inference_service_operations_total{operation="create",status="success"} 1\n');
    expect(text).toContain('mlflow_api_errors_total{kind="unreachable"} 1\n');
    expect(text).toContain('kubernetes_api_errors_total{reason="Forbidden"} 1\n');
  });

  it("tells the time of the last successful poll, and none before the first", async () => {
    const metrics = createMetrics();
    expect(await linesOf(metrics, "poll_last_success_timestamp_seconds")).toEqual([]);
    metrics.pollSucceeded(new Date(1_760_000_000_500));
    expect(await linesOf(metrics, "poll_last_success_timestamp_seconds")).toEqual([
      "poll_last_success_timestamp_seconds 1760000000.5",
    ]);
  });

  it("is in exactly one mode", async () => {
    const metrics = createMetrics();
    metrics.setMode("webhook");
    metrics.setMode("fallback");
    expect(await linesOf(metrics, "listener_mode")).toEqual([
      'listener_mode{mode="starting"} 0',
      'listener_mode{mode="propagating"} 0',
      'listener_mode{mode="webhook"} 0',
      'listener_mode{mode="polling"} 0',
      'listener_mode{mode="fallback"} 1',
    ]);
  });

  it("asks for depth and counts at each scrape", async () => {
    const metrics = createMetrics();
    let depth = 3;
    let counts: ServiceCounts | undefined = undefined;
    metrics.observeQueue(() => depth);
    metrics.observeServices(() => counts);
    expect(await linesOf(metrics, "reconcile_queue_depth")).toEqual(["reconcile_queue_depth 3"]);
    expect(await linesOf(metrics, "inference_services{")).toEqual([]);
    depth = 0;
    counts = { Starting: 1, Ready: 2, Failed: 0, Stopping: 0 };
    expect(await linesOf(metrics, "reconcile_queue_depth")).toEqual(["reconcile_queue_depth 0"]);
    expect(await linesOf(metrics, "inference_services{")).toEqual([
      'inference_services{status="Starting"} 1',
      'inference_services{status="Ready"} 2',
      'inference_services{status="Failed"} 0',
      'inference_services{status="Stopping"} 0',
    ]);
  });

  it("takes a time that clocks make negative for none, and leaves out what is no number", async () => {
    const metrics = createMetrics();
    metrics.tagToReady(-2);
    metrics.tagToReady(7);
    metrics.tagToReady(NaN);
    metrics.processed(NaN);
    expect(await linesOf(metrics, "tag_to_ready_duration_seconds_")).toEqual(
      expect.arrayContaining([
        'tag_to_ready_duration_seconds_bucket{le="1"} 1',
        'tag_to_ready_duration_seconds_bucket{le="10"} 2',
        "tag_to_ready_duration_seconds_sum 7",
        "tag_to_ready_duration_seconds_count 2",
      ]),
    );
    expect(await linesOf(metrics, "webhook_processing_duration_seconds_count")).toEqual([
      "webhook_processing_duration_seconds_count 0",
    ]);
  });

  it("does not mix with another module's, or another instance's", async () => {
    const [one, other] = [createMetrics(), createMetrics()];
    one.eventReceived("prompt", "set");
    expect(await linesOf(other, 'webhook_events_total{entity="prompt"')).toEqual([]);
  });
});
