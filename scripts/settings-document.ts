// `npm run docs` writes docs/settings.md and docs/settings.schema.json from the settings' own definitions; with --check
// it only says whether the files are current.
import { readFileSync, writeFileSync } from "node:fs";
import { format, resolveConfig } from "prettier";
import * as z from "zod";
import { settingsSchema } from "../capabilities/configuration/setting-fields";
import { SETTINGS_PREFIX } from "../capabilities/configuration/settings";

const { properties = {}, required = [] } = z.toJSONSchema(settingsSchema, { io: "input" });

const settings = Object.entries(properties).flatMap(([name, property]) =>
  typeof property === "object" ? [{ name: SETTINGS_PREFIX + name, property }] : [],
);

const rows = settings.map(({ name, property }) => {
  const standard = typeof property.default === "string" ? `\`${property.default}\`` : "";
  return `| \`${name}\` | ${standard} | ${property.description ?? ""} |`;
});

const schema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  title: "Settings of mlflow-kserve, as environment variables or as data of the ConfigMap mlflow-kserve-config",
  type: "object",
  properties: Object.fromEntries(settings.map(({ name, property }) => [name, property])),
  required: required.map(name => SETTINGS_PREFIX + name),
};

const document = `# Settings

Environment variables of the module. What the environment does not have is read from the ConfigMap
\`mlflow-kserve-config\` (keys as here) and the Secret \`mlflow-webhook-secret\` (key \`secret\`) in the module's namespace,
so that a deployed module is configured with kubectl alone. A wrong setting stops the start, with all problems listed; a
name that looks like a setting and is none is warned about. This page is written by \`npm run docs\` from
capabilities/configuration/setting-fields.ts, and so is [settings.schema.json](settings.schema.json).

| name | default | meaning |
| --- | --- | --- |
${rows.join("\n")}

How to reach MLflow is read from MLflow's own variables, as its Python client reads them: \`MLFLOW_TRACKING_USERNAME\` and
\`MLFLOW_TRACKING_PASSWORD\`, or \`MLFLOW_TRACKING_TOKEN\`, which may also be keys of the Secret \`mlflow-credentials\`;
\`MLFLOW_TRACKING_AUTH=kubernetes\` (or \`kubernetes-namespaced\`) for the pod's own token; \`MLFLOW_TRACKING_SERVER_CERT_PATH\`
for a CA of your own, or \`MLFLOW_TRACKING_INSECURE_TLS=true\` to check no certificate; \`MLFLOW_TRACKING_CLIENT_CERT_PATH\` for a
certificate of ours with its key; \`MLFLOW_WORKSPACE\`. \`HTTPS_PROXY\`, \`HTTP_PROXY\`, \`ALL_PROXY\` and \`NO_PROXY\`, in upper or lower
case, say through which proxy, and may be keys of the Secret too, for a user and password in the URL; they concern calls of MLflow
alone. The Secret and all files are read anew while the module runs. Any other
variable of MLflow's that is set is warned about by its name at the start, since it has no effect. The cluster is found as Pepr finds it: by \`KUBECONFIG\`,
\`~/.kube/config\` or the pod's ServiceAccount.
`;

const files = [
  { name: "docs/settings.md", text: document },
  { name: "docs/settings.schema.json", text: JSON.stringify(schema) },
];

async function main(): Promise<void> {
  for (const { name, text } of files) {
    const formatted = await format(text, { ...(await resolveConfig(name)), filepath: name });
    if (!process.argv.includes("--check")) writeFileSync(name, formatted);
    else if (readFileSync(name, "utf8") !== formatted) {
      console.error(`${name} is not current: run npm run docs`);
      process.exitCode = 1;
    }
  }
}

void main();
