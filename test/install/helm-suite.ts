import path from "node:path";
import { cpSync } from "node:fs";
import { loadAll } from "js-yaml";
import { beforeAll, expect, it } from "vitest";
import { CHART, completeChart } from "../../scripts/chart/complete-chart";
import { run } from "../testbed/commands";
import { helmProgram } from "../testbed/helm";
import { cleanEnvironment } from "../testbed/processes";
import { builtModule } from "./built-module";
import { liveContents, MODELS, serveSomething, withoutMissingAnnotation } from "./installation-cluster";
import type { InstallationCluster, InstalledObject } from "./installation-cluster";
import { EVERYTHING } from "./kustomize-suite";
import { settled } from "./live-contents";
import { commandsBelow } from "./readme-commands";

const TRACKING_URI = "mlflow.trackingUri=http://mlflow.mlflow.svc:5000";
const TEMPLATE = "inferenceServiceTemplate=k8s/components/custom-template/inference-service.yaml.txt";
/** As the overlay default has them. */
const DEFAULT = ["--set", TRACKING_URI, "--set", "mlflow.storageUriBase=s3://mlflow"];

/** The same installation twice: by values, and by components. */
const SAME: readonly { name: string; values: string[]; components: readonly string[]; resources?: string[] }[] = [
  { name: "nothing but the addresses", values: [], components: [] },
  {
    name: "polling only, in one namespace",
    values: ["--set", "pollingOnly=true,oneNamespace=true", "--set-file", TEMPLATE],
    components: ["polling-only", "one-namespace", "custom-template"],
    resources: ["target-namespace"],
  },
  {
    name: "all that goes without HTTPS",
    values: [
      "--set",
      "ingress.enabled=true,highAvailability.enabled=true,networkPolicy.enabled=true,monitoring.enabled=true,page.enabled=true",
    ],
    components: [
      ...["ingress", "high-availability", "network-policy", "monitoring", "network-policy/monitoring"],
      ...["page", "network-policy/page"],
    ],
  },
  {
    name: "one port",
    values: ["--set", "onePort=true,networkPolicy.enabled=true,monitoring.enabled=true,page.enabled=true"],
    components: [
      ...["network-policy", "monitoring", "network-policy/monitoring", "page", "network-policy/page", "one-port"],
    ],
  },
  {
    name: "one port of HTTPS",
    values: ["--set", "onePort=true,https.enabled=true,monitoring.enabled=true,page.enabled=true"],
    components: ["https", "monitoring", "monitoring/https", "page", "one-port", "one-port/https"],
  },
  {
    name: "everything at once",
    values: [
      ...["--set", "https.enabled=true,ingress.enabled=true,highAvailability.enabled=true,oneNamespace=true"],
      ...["--set", "networkPolicy.enabled=true,monitoring.enabled=true,page.enabled=true", "--set-file", TEMPLATE],
    ],
    components: EVERYTHING,
    resources: ["target-namespace"],
  },
];

/** The Helm chart, by the commands of k8s/README.md. */
export function helmSuite(theCluster: () => InstallationCluster): void {
  let helm: string;
  const previous = path.join("previous", CHART);

  const template = async (...values: string[]): Promise<string> =>
    (
      await run(helm, ["template", "mlflow-kserve", path.join("dist", CHART), ...values], {
        directory: theCluster().workspace.directory,
        environment: cleanEnvironment(),
      })
    ).stdout;
  const get = async (...what: string[]): Promise<string> =>
    await theCluster().kubectl(["get", ...what, "-n", "pepr-system"]);
  const secret = (): Promise<string> => get("secret", "mlflow-webhook-secret", "-o", "jsonpath={.data.secret}");
  const templatesOfPods = (): Promise<string> => get("deployments", "-o", "jsonpath={.items[*].spec.template}");
  const commands = (): { install: string; upgrade: string; uninstall: string } => {
    const [install = "", upgrade = "", uninstall = ""] = commandsBelow("k8s/README.md", "Helm");
    return { install, upgrade, uninstall };
  };

  beforeAll(async () => {
    helm = await helmProgram(() => undefined);
    const { directory } = theCluster().workspace;
    completeChart(path.join(directory, "dist"));
    // Another build, as of an older version.
    cpSync(await builtModule("second"), path.join(directory, "previous"), { recursive: true });
    completeChart(path.join(directory, "previous"), "0.0.9");
  }, 900_000);

  it("is installed with nothing but the address of MLflow", async () => {
    const { type } = theCluster();
    const { install } = commands();
    const said = await type(install.replace(`dist/${CHART}`, previous), [helm]);
    expect(said).toContain("mlflow-kserve 0.0.9 reads the tags of http://mlflow.mlflow.svc:5000");
    expect(said).toMatch(/deployment.*pepr-mlflow-kserve-watcher condition met/);
    expect(said).toContain(`kubectl delete namespace ${MODELS}`);

    const data = await get("configmap", "mlflow-kserve-config", "-o", "jsonpath={.data}");
    expect(JSON.parse(data)).toEqual({
      MLFLOW_KSERVE_MLFLOW_TRACKING_URI: "http://mlflow.mlflow.svc:5000",
      MLFLOW_KSERVE_MLFLOW_WEBHOOK_URL: "http://mlflow-kserve-webhook-listener.pepr-system.svc/webhook",
      MLFLOW_KSERVE_OPERATIONS_PORT: "8081",
      MLFLOW_KSERVE_WEBHOOK_PODS_URL: "http://mlflow-kserve-operations.pepr-system.svc:8081",
      MLFLOW_KSERVE_INFERENCE_SERVICE_TEMPLATE: "mlflow-kserve-template/inference-service.yaml",
    });
    expect(Buffer.from(await secret(), "base64").toString()).toMatch(/^[A-Za-z0-9]{44}$/);
    expect(await get("service", "mlflow-kserve-webhook-listener", "-o", "jsonpath={.spec.ports[*].targetPort}")).toBe(
      "8000 8443",
    );
  }, 300_000);

  it("is upgraded from the version before, and keeps its secret; upgrading again changes no pod", async () => {
    const { type } = theCluster();
    const { upgrade } = commands();
    const [secretBefore, podsBefore] = [await secret(), await templatesOfPods()];

    await type(upgrade, [helm]);
    expect(await secret()).toBe(secretBefore);
    const pods = await templatesOfPods();
    expect(pods).not.toBe(podsBefore);
    const authority = await get("validatingwebhookconfiguration", "pepr-mlflow-kserve", "-o", "jsonpath={..caBundle}");
    const manifests = loadAll(await template(...DEFAULT)) as (InstalledObject & { webhooks?: unknown })[];
    const ofChart = manifests.find(({ kind }) => kind === "ValidatingWebhookConfiguration");
    expect(JSON.stringify(ofChart?.webhooks)).toContain(authority);

    await type(upgrade, [helm]);
    expect(await templatesOfPods()).toBe(pods);
    expect(await secret()).toBe(secretBefore);
  }, 300_000);

  it("starts the pods anew when a setting changes", async () => {
    const { type } = theCluster();
    const pods = await templatesOfPods();
    await type(`${commands().upgrade.trim()} --set-string settings.MLFLOW_KSERVE_POLLING_INTERVAL=30`, [helm]);
    expect(await templatesOfPods()).not.toBe(pods);
    expect(await get("configmap", "mlflow-kserve-config", "-o", "yaml")).toContain('POLLING_INTERVAL: "30"');
  }, 120_000);

  it("is uninstalled without what is served", async () => {
    const { kubectl, type } = theCluster();
    await serveSomething(theCluster());
    await type(commands().uninstall, [helm]);

    const kinds = "clusterroles,clusterrolebindings,validatingwebhookconfigurations,mutatingwebhookconfigurations";
    const left = await kubectl(["get", `namespaces,${kinds}`, "-o", "name"]);
    expect(left.split("\n").filter(line => /pepr|mlflow/.test(line))).toEqual([`namespace/${MODELS}`]);
    expect(await kubectl(["get", "isvc", "served", "-n", MODELS, "-o", "name"])).toContain("served");
  }, 300_000);

  it.each(SAME)("gives what kustomize gives: $name", async ({ values, components, resources }) => {
    const { workspace, render } = theCluster();
    const { directory } = workspace;
    const overlay =
      components.length === 0 ? `${directory}/k8s/overlays/default` : workspace.mixing(components, resources);

    const ofHelm = comparable(loadAll(await template(...DEFAULT, ...values)) as InstalledObject[]);
    expect(ofHelm).toEqual(comparable(await render(overlay)));
  });

  it("is accepted by the API server with everything at once, and applying it again changes nothing", async () => {
    const { kubectl, withWarnings } = theCluster();
    const everything = await template(...DEFAULT, ...(SAME.at(-1)?.values ?? []), "--set", "webhookSecret.value=fixed");
    const namespaces = (loadAll(everything) as InstalledObject[]).filter(({ kind }) => kind === "Namespace");
    await kubectl(["apply", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items: namespaces }));
    const tried = await withWarnings(["apply", "--dry-run=server", "-f", "-"], everything);
    const applied = await withWarnings(["apply", "-f", "-"], everything);
    for (const { stderr } of [tried, applied]) expect(withoutMissingAnnotation(stderr)).toBe("");
    const live = (): Promise<Record<string, unknown>> => liveContents(theCluster(), ["-f", "-"], everything);
    await kubectl(["wait", "-n", "pepr-system", "deployment", "--all", "--for=condition=Available", "--timeout=180s"]);
    const before = await settled(live);
    await withWarnings(["apply", "-f", "-"], everything);
    expect(await live()).toEqual(before);
    await kubectl(["delete", "--ignore-not-found", "--wait=false", "-f", "-"], everything);
    await kubectl(["delete", "namespace", "pepr-system", MODELS, "--ignore-not-found"]);
  }, 300_000);

  it.each([
    { what: "without the address of MLflow", values: [], cause: /trackingUri/ },
    {
      what: "with a setting that does not exist",
      values: ["--set", "settings.MLFLOW_KSERVE_POLING=1"],
      cause: /POLING/,
    },
    { what: "with a number that is none", values: ["--set", "networkPolicy.mlflowPort=http"], cause: /mlflowPort/ },
    {
      what: "with a value that does not exist",
      values: ["--set", "highAvailabilty.enabled=true"],
      cause: /Availabilty/,
    },
  ])("is refused $what", async ({ values, cause }) => {
    const uri = values.length === 0 ? [] : ["--set", TRACKING_URI];
    await expect(template(...uri, ...values)).rejects.toThrow(cause);
  });
}

/**
 * Objects by kind and name, such as two ways to write the same give the same: without what only a chart can have (the secret,
 * the target namespace that stays, the checksum that starts pods anew), and without empty fields; the order in lists does not
 * matter.
 */
function comparable(objects: readonly InstalledObject[]): Record<string, unknown> {
  const left = objects.filter(({ metadata: { name } }) => name !== "mlflow-webhook-secret" && name !== MODELS);
  return Object.fromEntries(left.map(object => [`${object.kind} ${object.metadata.name}`, normal(object)]));
}

function normal(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(normal).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  // kustomize folds long lines of texts with an empty line too many.
  if (typeof value === "string") return value.replaceAll(/\s+/g, " ");
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value)
    .filter(([name]) => name !== "checksum/settings")
    .map(([name, field]) => [name, normal(field)] as const)
    .filter(([, field]) => field !== null && JSON.stringify(field) !== "{}" && JSON.stringify(field) !== "[]");
  return Object.fromEntries(fields.sort(([a], [b]) => (a < b ? -1 : 1)));
}
