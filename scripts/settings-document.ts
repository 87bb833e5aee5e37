// `npm run docs` writes docs/settings.md from the settings' own definitions; with --check it only says whether the file
// is current.
import { readFileSync, writeFileSync } from "node:fs";
import { format, resolveConfig } from "prettier";
import { settingFields, SETTINGS_PREFIX } from "../capabilities/operations/settings";

const FILE = "docs/settings.md";

interface Row {
  readonly description: string;
  readonly standard?: string;
}

const rows = Object.entries<Row>(settingFields).map(
  ([name, { description, standard }]) =>
    `| \`${SETTINGS_PREFIX}${name}\` | ${standard === undefined ? "" : `\`${standard}\``} | ${description} |`,
);

const document = `# Settings

Environment variables of the module. A wrong one stops the start, with all problems listed. This page is written by
\`npm run docs\` from capabilities/operations/settings.ts.

| name | default | meaning |
| --- | --- | --- |
${rows.join("\n")}

Credentials for MLflow are read from MLflow's own variables, as its Python client reads them: \`MLFLOW_TRACKING_USERNAME\`
and \`MLFLOW_TRACKING_PASSWORD\`, or \`MLFLOW_TRACKING_TOKEN\`. The cluster is found as Pepr finds it: by \`KUBECONFIG\`,
\`~/.kube/config\` or the pod's ServiceAccount.
`;

async function main(): Promise<void> {
  const text = await format(document, { ...(await resolveConfig(FILE)), filepath: FILE });
  if (!process.argv.includes("--check")) {
    writeFileSync(FILE, text);
    return;
  }
  if (readFileSync(FILE, "utf8") === text) return;
  console.error(`${FILE} is not current: run npm run docs`);
  process.exitCode = 1;
}

void main();
