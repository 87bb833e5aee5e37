import { Watch } from "@kubernetes/client-node";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from "vitest";
import { kubeConfigFrom } from "../support/kube-config";
import { startListener, uniqueModel } from "../support/listener-fixture";
import type { RunningListener } from "../support/listener-fixture";
import { openRegistry } from "../support/mlflow-registry";
import { startPrometheus } from "../support/prometheus";
import type { Prometheus } from "../support/prometheus";
import { selfSigned } from "../support/unit/certificates";
import { waitFor } from "../support/waiting";
import { panelQueries, ruleGroups } from "./manifests";

/** What a run without kube-state-metrics cannot have: metrics that begin so. */
const FROM_KUBE_STATE_METRICS = /\b(kserve_inferenceservice_|kube_)/;

/** All selectors of series in an expression, those of recorded series included. */
function selectorsOf(expression: string): string[] {
  return expression.match(/[a-zA-Z_:][\w:]*\{[^}]*\}|namespace:mlflow_kserve_\w+:rate\w+/g) ?? [];
}

/** A process of the module as Prometheus sees it: with the labels that the PodMonitor gives. */
function target(running: RunningListener, role: string, pod: string): Record<string, unknown> {
  const labels = { job: "mlflow-kserve", namespace: "pepr-system", role, pod };
  return { targets: [new URL(running.url).host], labels };
}

/** Tells the observer what Pepr's Watch would tell it. @returns ends it */
async function watchServices({ namespace, listener }: RunningListener): Promise<() => void> {
  const watch = new Watch(kubeConfigFrom(inject("kubeconfig")));
  const resource = `/apis/serving.kserve.io/v1beta1/namespaces/${namespace}/inferenceservices`;
  const tell = (type: string, object: unknown): void => {
    if (type === "DELETED") listener.observer.deleted(object);
    else listener.observer.changed(object);
  };
  const controller = await watch.watch(resource, {}, tell, () => undefined);
  return () => {
    controller.abort();
  };
}

const registry = openRegistry(inject("mlflowTrackingUri"));

let prometheus: Prometheus;
let stopWatching: () => void;
/** Unix time in seconds at which everything had been scraped and recorded. */
let at: number;

// One run for all tests: two processes that take deliveries, of which one cannot do its work, and one that polls and
// watches. What the first test's end stops is in Prometheus by then.
beforeAll(async () => {
  const tag = uniqueModel("deploy");
  const settings = { DEPLOY_TAG_KEY: tag };
  const watcher = await startListener({ settings });
  const admission = await startListener({ settings, namespace: watcher.namespace });
  // Nobody makes this namespace: the API server refuses what is to be put there.
  const failing = await startListener({ settings, namespace: "mlflow-kserve-is-not-here" });
  stopWatching = await watchServices(watcher);
  const targets = [
    target(watcher, "watcher", "w"),
    target(admission, "admission", "a"),
    target(failing, "admission", "b"),
  ];
  const scrape = [{ job_name: "module", static_configs: targets }];
  prometheus = await startPrometheus({ scrape, groups: ruleGroups() });

  const has = (expression: string): Promise<true> =>
    waitFor(expression, async () => ((await prometheus.query(expression)).length > 0 ? true : undefined));
  // After a scrape of each process: an increase is what lies between two scrapes.
  await has("count(count_over_time(up[1m]) >= 2) == 3");
  const good = await registry.register(uniqueModel("dashboard"), "s3://models/any", { [tag]: "true" });
  expect(await admission.deliver(good)).toMatchObject({ status: 200, body: { action: "created" } });
  expect((await failing.deliver(good)).status).toBe(500);
  const local = await registry.register(uniqueModel("local"), "dbfs:/models/any", { [tag]: "true" });
  expect((await admission.deliver(local)).status).toBe(422);
  expect((await admission.send("{}", { "x-mlflow-signature": "v1,AAAA" })).status).toBe(401);
  await waitFor("the service to be Ready", async () => {
    await watcher.listener.poll();
    const [sample] = await prometheus.query('inference_services{status="Ready"}');
    return (sample?.value ?? 0) > 0 ? true : undefined;
  });
  await has('increase(inference_service_operations_total{pod="a", status="success"}[1m]) > 0');
  await has('increase(tag_to_ready_duration_seconds_count{pod="w"}[1m]) > 0');
  // A rule may see a scrape that the rule before it did not: what is divided by is waited for as well.
  await has("namespace:mlflow_kserve_deliveries:rate3d > 0 and namespace:mlflow_kserve_deliveries_failed:rate3d > 0");
  await has(
    "namespace:mlflow_kserve_deliveries_processed:rate3d > 0 and namespace:mlflow_kserve_deliveries_slow:rate3d",
  );
  at = Date.now() / 1000;
});

afterAll(async () => {
  stopWatching();
  await prometheus.stop();
});

describe("in a real run", () => {
  it.each(panelQueries())("$dashboard, $panel: $expr", async ({ expr }) => {
    const samples = await prometheus.query(expr, at);
    if (FROM_KUBE_STATE_METRICS.test(expr)) expect(samples).toEqual([]);
    else expect(samples.some(({ value }) => Number.isFinite(value))).toBe(true);
  });

  it("every rule is evaluated without an error", async () => {
    const rules = await prometheus.rules();
    expect(rules).toHaveLength(ruleGroups().flatMap(group => group.rules).length);
    expect(rules.filter(({ health }) => health !== "ok")).toEqual([]);
  });

  const selectors = new Set(
    ruleGroups()
      .flatMap(group => group.rules)
      .flatMap(({ expr }) => selectorsOf(expr)),
  );
  it.each([...selectors])("there is what the rules look at: %s", async selector => {
    const samples = await prometheus.query(selector, at);
    expect(samples.length > 0).toBe(!FROM_KUBE_STATE_METRICS.test(selector));
  });

  it("no alert is raised but the one about a version that cannot be served, which waits", async () => {
    // The rules are evaluated some seconds after the scrape that they speak of.
    const alerts = await waitFor("the alert", async () => {
      const found = await prometheus.query("ALERTS");
      return found.some(({ metric }) => metric.alertname === "MlflowKserveDeploymentsRefused") ? found : undefined;
    });
    expect(alerts.filter(({ metric }) => metric.alertstate === "firing")).toEqual([]);
  });
});

describe("an endpoint with a certificate", () => {
  it("is scraped over HTTPS, as the component https does it", async () => {
    const directory = mkdtempSync(path.join(tmpdir(), "mlflow-kserve-scraped-"));
    onTestFinished(() => {
      rmSync(directory, { recursive: true, force: true });
    });
    const { cert, key } = selfSigned("scraped");
    const files = { TLS_CERT_FILE: path.join(directory, "tls.crt"), TLS_KEY_FILE: path.join(directory, "tls.key") };
    writeFileSync(files.TLS_CERT_FILE, cert);
    writeFileSync(files.TLS_KEY_FILE, key);
    const running = await startListener({ settings: files });
    const job = { job_name: "tls", scheme: "https", static_configs: [target(running, "admission", "a")] };
    const scraping = await startPrometheus({ scrape: [{ ...job, tls_config: { ca_file: files.TLS_CERT_FILE } }] });
    onTestFinished(() => scraping.stop());
    await waitFor("a scrape", async () => ((await scraping.query("up == 1")).length > 0 ? true : undefined));
    expect((await scraping.query('listener_mode{role="admission"} == 1')).length).toBe(1);
  });
});
