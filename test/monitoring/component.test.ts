import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { loadAll } from "js-yaml";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { customResourcesEstablished } from "../support/custom-resources";
import { moduleDirectory } from "../support/go-module-files";
import { createNamespace, testKubectl } from "../testbed/namespaces";
import { COMPONENT, dashboards } from "./manifests";

/** The operator whose CRDs are used; the objects are of its stable API. */
const OPERATOR = { module: "github.com/prometheus-operator/prometheus-operator", version: "v0.85.0" };

interface Built {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: Readonly<Record<string, unknown>>;
}

/** A folder, gone with the test, with the component in it and a kustomization that uses it. */
function kustomization(namespace: string, ...more: string[]): string {
  const directory = mkdtempSync(path.join(tmpdir(), "mlflow-kserve-monitoring-"));
  onTestFinished(() => {
    rmSync(directory, { recursive: true, force: true });
  });
  cpSync(COMPONENT, path.join(directory, "monitoring"), { recursive: true });
  const components = ["monitoring", ...more.map(name => `monitoring/${name}`)];
  writeFileSync(path.join(directory, "kustomization.yaml"), JSON.stringify({ namespace, components }));
  return directory;
}

async function build(directory: string): Promise<Built[]> {
  return loadAll(await testKubectl()(["kustomize", directory])) as Built[];
}

function endpointOf(objects: readonly Built[]): Record<string, unknown> {
  const monitor = objects.find(({ kind }) => kind === "PodMonitor");
  const endpoints = monitor?.spec?.podMetricsEndpoints as Record<string, unknown>[];
  expect(endpoints).toHaveLength(1);
  return endpoints[0] ?? {};
}

describe("the component", () => {
  it("builds, with the dashboards as Grafana's sidecar looks for them", async () => {
    const objects = await build(kustomization("pepr-system"));
    expect(objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`).sort()).toEqual([
      "ConfigMap/mlflow-kserve-dashboard-models",
      "ConfigMap/mlflow-kserve-dashboard-operator",
      "PodMonitor/mlflow-kserve",
      "PrometheusRule/mlflow-kserve-alerts",
      "PrometheusRule/mlflow-kserve-service-levels",
    ]);
    const maps = objects.filter(({ kind }) => kind === "ConfigMap");
    for (const { metadata } of maps) expect(metadata.labels).toMatchObject({ grafana_dashboard: "1" });
    const shown = maps.flatMap(({ data = {} }) => Object.values(data)).map(text => JSON.parse(text) as unknown);
    expect(shown).toHaveLength(2);
    expect(shown).toEqual(expect.arrayContaining(dashboards()));
    expect(endpointOf(objects)).toMatchObject({ scheme: "http", path: "/metrics" });
  });

  it("scrapes the pods that Pepr makes for this module", async () => {
    const { pepr } = JSON.parse(readFileSync(path.join(COMPONENT, "../../../package.json"), "utf8")) as {
      pepr: { uuid: string };
    };
    const monitor = (await build(kustomization("pepr-system"))).find(({ kind }) => kind === "PodMonitor");
    expect(monitor?.spec?.selector).toEqual({
      matchExpressions: [{ key: "app", operator: "In", values: [`pepr-${pepr.uuid}`, `pepr-${pepr.uuid}-watcher`] }],
    });
  });

  it("scrapes over HTTPS with the component https", async () => {
    const endpoint = endpointOf(await build(kustomization("pepr-system", "https")));
    expect(JSON.stringify(endpoint.relabelings).match(/:\d{4,}/g)).toEqual([":8081", ":8081"]);
    expect(endpoint).toMatchObject({
      scheme: "https",
      tlsConfig: { ca: { secret: { key: "ca.crt" } }, serverName: "mlflow-kserve-webhook-listener.pepr-system.svc" },
    });
  });
});

describe("with the Prometheus operator's CRDs", () => {
  beforeAll(async () => {
    const directory = await moduleDirectory(OPERATOR.module, OPERATOR.version);
    const files = ["podmonitors", "prometheusrules"].map(name =>
      path.join(directory, "example/prometheus-operator-crd", `monitoring.coreos.com_${name}.yaml`),
    );
    // They stay: other tests may use them too.
    const named = files.flatMap(file => ["--filename", file]);
    await testKubectl()(["apply", "--server-side", "--force-conflicts", ...named]);
    await customResourcesEstablished(testKubectl(), named);
  });

  const apply = (directory: string): Promise<string> =>
    testKubectl()(["apply", "--server-side", "--kustomize", directory]);

  it.each([[[]], [["https"]]])("is accepted, and changes nothing the second time (%s)", async more => {
    const namespace = await createNamespace("monitoring");
    const directory = kustomization(namespace, ...more);
    expect((await apply(directory)).split("\n")).toHaveLength(5);
    const versions = async (): Promise<string> =>
      await testKubectl()([
        ...["--namespace", namespace, "get", "podmonitors,prometheusrules,configmaps"],
        ...["--output", "jsonpath={range .items[*]}{.kind}/{.metadata.name}={.metadata.resourceVersion} {end}"],
      ]);
    const before = await versions();
    await apply(directory);
    expect(await versions()).toBe(before);
  });

  it("would not be accepted with a field that there is not", async () => {
    const directory = kustomization(await createNamespace("monitoring"));
    const file = path.join(directory, "monitoring/pod-monitor.yaml");
    writeFileSync(file, readFileSync(file, "utf8").replace("podMetricsEndpoints:", "podMetricsEndpoint:"));
    await expect(apply(directory)).rejects.toThrow("podMetricsEndpoint");
  });
});
