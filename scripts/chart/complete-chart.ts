import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { dump, loadAll } from "js-yaml";
import packageJson from "../../package.json";
import { completeValues, valuesFile, valuesSchema } from "./chart-values";
import { componentFiles } from "./component-templates";
import { completeDeployment } from "./deployment-templates";
import { webhookTemplate } from "./webhook-templates";
import type { WebhookConfiguration } from "./webhook-templates";

const SOURCE = "charts/mlflow-kserve";
const UUID = packageJson.pepr.uuid;

/** The folder of the chart below the one that `pepr build` writes to. */
export const CHART = `${UUID}-chart`;

/**
 * Completes the Helm chart that `pepr build` left, so that it alone gives a working system: the endpoint's Service, settings,
 * secret, namespace, the components of k8s/ as values, and a schema.
 *
 * @param dist the folder that `pepr build` wrote to
 * @param version of the chart and of what it installs
 * @throws Error when Pepr's chart or a component is not in the form that is known here
 */
export function completeChart(dist: string, version: string = packageJson.version): void {
  const chart = path.join(dist, CHART);
  const read = (file: string): string => readFileSync(path.join(chart, file), "utf8");
  const { values, hash } = completeValues(read("values.yaml"));
  const ours = JSON.parse(readFileSync(`${SOURCE}/values-properties.json`, "utf8")) as Record<string, object>;
  const files: Record<string, string> = {
    "Chart.yaml": chartFile(version),
    "README.md": readFileSync(`${SOURCE}/README.md`, "utf8"),
    "values.yaml": valuesFile(readFileSync(`${SOURCE}/values.yaml`, "utf8"), values),
    "values.schema.json": `${JSON.stringify(valuesSchema(ours, values), undefined, 2)}\n`,
    ...componentFiles(),
    ...ownTemplates(),
    "templates/namespace.yaml": namespace(read("templates/namespace.yaml")),
  };
  for (const role of ["admission", "watcher"] as const) {
    const file = `templates/${role}-deployment.yaml`;
    files[file] = completeDeployment(read(file), role, hash);
  }
  const manifests = readFileSync(path.join(dist, `pepr-module-${UUID}.yaml`), "utf8");
  for (const object of loadAll(manifests) as WebhookConfiguration[]) {
    if (object.kind === "MutatingWebhookConfiguration")
      files["templates/mutation-webhook.yaml"] = webhookTemplate(object);
    if (object.kind === "ValidatingWebhookConfiguration")
      files["templates/validation-webhook.yaml"] = webhookTemplate(object);
  }
  for (const [file, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(chart, file)), { recursive: true });
    writeFileSync(path.join(chart, file), content);
  }
  cpSync("LICENSE", path.join(chart, "LICENSE"));
}

function chartFile(version: string): string {
  return dump({
    apiVersion: "v2",
    name: UUID,
    description: packageJson.description,
    type: "application",
    version,
    appVersion: version,
    kubeVersion: ">=1.29.0-0",
    keywords: packageJson.keywords,
    annotations: { license: packageJson.license },
  });
}

/** Those that have no other source; `.tpl` at the end keeps formatters, which know no templates, away from them. */
function ownTemplates(): Record<string, string> {
  const directory = path.join(SOURCE, "templates");
  return Object.fromEntries(
    readdirSync(directory).map(name => [
      `templates/${name.replace(/\.yaml\.tpl$/, ".yaml")}`,
      readFileSync(path.join(directory, name), "utf8"),
    ]),
  );
}

/** Helm itself makes the namespace of a release; in another one the release makes it. */
function namespace(generated: string): string {
  return `{{- if ne .Release.Namespace "pepr-system" }}\n${generated.trimEnd()}\n{{- end }}\n`;
}
