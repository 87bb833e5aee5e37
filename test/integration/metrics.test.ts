import { spawnSync } from "node:child_process";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { listWebhooks } from "../../capabilities/mlflow/webhook-registration";
import { createMetrics } from "../../capabilities/observability/metrics";
import { startListener, uniqueModel } from "../support/listener-fixture";
import type { RunningListener } from "../support/listener-fixture";
import { openRegistry } from "../support/mlflow-registry";
import { startPrometheus } from "../support/prometheus";
import { waitFor } from "../support/waiting";
import { keep, startMlflowForTest, transportTo } from "../support/webhook-modes";
import { prometheusPrograms } from "../testbed/prometheus";

const registry = openRegistry(inject("mlflowTrackingUri"));

/** What promtool says about metrics; nothing, when all is well. */
async function promtoolSays(metrics: string): Promise<string> {
  const { promtool } = await prometheusPrograms();
  const { error, status, stdout, stderr } = spawnSync(promtool, ["check", "metrics"], {
    input: metrics,
    encoding: "utf8",
  });
  if (error !== undefined) throw error;
  return status === 0 ? stdout + stderr : `exit code ${status ?? "?"}\n${stdout}${stderr}`;
}

async function metricsOf(running: RunningListener): Promise<string> {
  const response = await fetch(`${running.url}/metrics`);
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  return await response.text();
}

describe("GET /metrics", () => {
  it("is clean for promtool, with every metric that there is", async () => {
    const metrics = createMetrics();
    metrics.eventReceived("model_version_tag", "set");
    metrics.deliveryRejected("malformed");
    metrics.operation("create", "success");
    metrics.processed(0.2);
    metrics.mlflowError("unreachable");
    metrics.kubernetesError("Conflict");
    metrics.pollSucceeded(new Date());
    metrics.tagToReady(3);
    metrics.servicesElsewhere(2);
    metrics.statusTagWritten("success");
    metrics.unwrittenStatusTags({ denied: 0, foreign: 0, contested: 0 });
    metrics.setMode("webhook");
    metrics.observeQueue(() => 1);
    metrics.observeServices(() => ({ Starting: 0, Ready: 1, Failed: 0, Stopping: 0 }));
    const text = await metrics.render();
    expect(await promtoolSays(text)).toBe("");
    expect([...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name).sort()).toEqual([
      "inference_service_deletions_held",
      "inference_service_operations_total",
      "inference_service_rollouts_stuck",
      "inference_services",
      "inference_services_elsewhere",
      "inference_services_outdated",
      "kubernetes_api_errors_total",
      "listener_mode",
      "mlflow_api_errors_total",
      "mlflow_lagging_reads_total",
      "poll_last_success_timestamp_seconds",
      "process_start_time_seconds",
      "reconcile_queue_depth",
      "status_tag_writes_total",
      "status_tags_unwritten",
      "tag_to_ready_duration_seconds",
      "webhook_deliveries_rejected_total",
      "webhook_deliveries_total",
      "webhook_events_total",
      "webhook_processing_duration_seconds",
    ]);
    // And promtool finds what is wrong.
    expect(await promtoolSays("# TYPE x_total gauge\nx_total 1\n")).not.toBe("");
  });

  it("of the running module is clean, and has no label from outside", async () => {
    const tag = uniqueModel("deploy");
    const running = await startListener({ settings: { DEPLOY_TAG_KEY: tag } });
    const key = await registry.register(uniqueModel("counted"), "s3://models/any", { [tag]: "true" });
    await running.deliver(key);
    const event = { entity: "made-up-entity", action: "made-up", timestamp: 1, data: {} };
    await running.send(JSON.stringify(event));
    await running.send(JSON.stringify(event), { "x-mlflow-signature": "v1,AAAA" });
    await running.listener.poll();
    const text = await metricsOf(running);
    expect(await promtoolSays(text)).toBe("");
    expect(text).toContain('webhook_events_total{entity="model_version_tag",action="set"} 1\n');
    expect(text).toContain('webhook_events_total{entity="other",action="other"} 1\n');
    expect(text).toContain('webhook_deliveries_rejected_total{reason="unauthenticated"} 1\n');
    for (const result of ["success", "ignored", "rejected"])
      expect(text).toContain(`webhook_deliveries_total{result="${result}"} 1\n`);
    expect(text).toContain("webhook_processing_duration_seconds_count 1\n");
    expect(text).toContain('inference_service_operations_total{operation="create",status="success"} 1\n');
    expect(text).toMatch(/^poll_last_success_timestamp_seconds \d+/m);
    expect(text).toMatch(/^reconcile_queue_depth \d+$/m);
    expect(text).not.toMatch(/made-up|counted-/);
  });

  it("counts no test delivery of MLflow's, of whatever event", async () => {
    // Of its own: what other tests do in the shared one is delivered as well, and rightly counted.
    const { trackingUri } = await startMlflowForTest();
    const running = await startListener({ mlflowTrackingUri: trackingUri });
    const transport = transportTo(trackingUri);
    const { reaches } = keep({ transport, url: `${running.url}/webhook`, startupTimeout: 30 });
    await reaches("webhook");
    const [webhook] = await listWebhooks(transport);
    const path = `webhooks/${webhook?.webhook_id ?? ""}`;
    for (const [entity, action] of [
      ["MODEL_VERSION", "CREATED"],
      ["MODEL_VERSION_TAG", "DELETED"],
      ["MODEL_VERSION_ALIAS", "CREATED"],
      ["MODEL_VERSION_ALIAS", "DELETED"],
      ["REGISTERED_MODEL", "CREATED"],
    ]) {
      const answer = await transport({ method: "POST", path: `${path}/test`, body: { event: { entity, action } } });
      expect(answer).toMatchObject({ result: { success: true, response_status: 200 } });
    }

    expect(running.logged.filter(({ message }) => message === "Delivery ignored").length).toBeGreaterThanOrEqual(13);
    expect(await metricsOf(running)).not.toMatch(/^webhook_(deliveries|events)_total\S* [1-9]/m);
  });

  it("counts the failures of MLflow, but not what is only not there", async () => {
    const running = await startListener({ mlflowTrackingUri: "http://127.0.0.1:1" });
    await running.deliver({ model: "any", version: "1" });
    const text = await metricsOf(running);
    expect(text).toMatch(/^mlflow_api_errors_total\{kind="unreachable"\} [1-9]/m);
    expect(text).toMatch(/^inference_service_operations_total\{operation="reconcile",status="mlflow_error"\} 1$/m);
    // The InferenceService that was looked for is not there: that is no error.
    expect(text).not.toMatch(/^kubernetes_api_errors_total\{.*\} [1-9]/m);
  });

  it("is scraped by a real Prometheus", async () => {
    const running = await startListener();
    const { host } = new URL(running.url);
    const scrape = [{ job_name: "module", static_configs: [{ targets: [host] }] }];
    const prometheus = await startPrometheus({ scrape });
    onTestFinished(prometheus.stop);
    const key = await registry.register(uniqueModel("scraped"), "s3://models/any", { deploy: "true" });
    await running.deliver(key);
    const [sample] = await waitFor("the scraped delivery", async () => {
      const found = await prometheus.query('webhook_events_total{entity="model_version_tag",action="set"}');
      return found.length > 0 ? found : undefined;
    });
    expect(sample?.value).toBe(1);
    expect(sample?.metric).toMatchObject({ job: "module", instance: host });
    expect((await prometheus.query("up"))[0]?.value).toBe(1);
    expect((await prometheus.query("listener_mode == 1")).length).toBe(1);
    expect((await prometheus.query("histogram_quantile(0.9, webhook_processing_duration_seconds_bucket)")).length).toBe(
      1,
    );
  });
});
