import { readFileSync } from "node:fs";
import path from "node:path";
import { dump, load } from "js-yaml";
import { editText, indent } from "./text-edits";
import type { Edit } from "./text-edits";

interface ComponentTemplate {
  /** File below k8s/, the one source for kustomize and Helm. */
  readonly source: string;
  /** When the chart has it; always, when there is none. */
  readonly when?: string;
  readonly edits?: readonly Edit[];
}

const HTTPS = ".Values.https.enabled";
const NETWORK_POLICY = ".Values.networkPolicy.enabled";
const PAGE = ".Values.page.enabled";
const TARGET_NAMESPACE: Edit = ["kserve-mlflow-models", "{{ .Values.targetNamespace }}"];

/** As the component one-port has it. */
const OPERATIONS_TARGET: Edit = ["targetPort: 8081", 'targetPort: {{ include "mlflow-kserve.operationsPort" . }}'];

const OPERATIONS_PORTS: Edit = [
  "        - { protocol: TCP, port: 8081 }\n",
  `        {{- if .Values.onePort }}
        - { protocol: TCP, port: 8000 }
        - { protocol: TCP, port: 8443 }
        {{- else }}
        - { protocol: TCP, port: {{ include "mlflow-kserve.operationsPort" . }} }
        {{- end }}
`,
];

const TEMPLATES: readonly ComponentTemplate[] = [
  { source: "base/rbac.yaml" },
  { source: "base/service.yaml" },
  { source: "base/operations.yaml", edits: [OPERATIONS_TARGET] },
  { source: "components/one-namespace/rbac.yaml", when: ".Values.oneNamespace", edits: [TARGET_NAMESPACE] },
  { source: "components/https/certificates.yaml", when: `and ${HTTPS} .Values.https.certManager` },
  {
    source: "components/ingress/ingress.yaml",
    when: ".Values.ingress.enabled",
    edits: [
      ["mlflow-kserve.example.com", "{{ .Values.ingress.host }}"],
      ["cluster-issuer: letsencrypt", "cluster-issuer: {{ .Values.ingress.clusterIssuer }}"],
      ["ingressClassName: nginx", "ingressClassName: {{ .Values.ingress.className }}"],
      ["name: http\n", `name: {{ if ${HTTPS} }}https{{ else }}http{{ end }}\n`],
      [
        "  annotations:\n",
        `  annotations:\n    {{- if ${HTTPS} }}\n    nginx.ingress.kubernetes.io/backend-protocol: HTTPS\n    {{- end }}\n`,
      ],
    ],
  },
  {
    source: "components/high-availability/autoscaler.yaml",
    when: ".Values.highAvailability.enabled",
    edits: [
      ["minReplicas: 3", "minReplicas: {{ .Values.highAvailability.minReplicas }}"],
      ["maxReplicas: 6", "maxReplicas: {{ .Values.highAvailability.maxReplicas }}"],
    ],
  },
  { source: "components/high-availability/disruption-budget.yaml", when: ".Values.highAvailability.enabled" },
  {
    source: "components/network-policy/policies.yaml",
    when: NETWORK_POLICY,
    edits: [
      ["metadata.name: mlflow\n", "metadata.name: {{ .Values.networkPolicy.mlflowNamespace }}\n"],
      ["port: 5000", "port: {{ .Values.networkPolicy.mlflowPort }}"],
      OPERATIONS_PORTS,
    ],
  },
  {
    source: "components/network-policy/monitoring/policy.yaml",
    when: `and ${NETWORK_POLICY} .Values.monitoring.enabled`,
    edits: [
      ["metadata.name: monitoring\n", "metadata.name: {{ .Values.networkPolicy.monitoringNamespace }}\n"],
      OPERATIONS_PORTS,
    ],
  },
  { source: "components/page/service.yaml", when: PAGE, edits: [OPERATIONS_TARGET] },
  {
    source: "components/network-policy/page/policy.yaml",
    when: `and ${NETWORK_POLICY} ${PAGE}`,
    edits: [
      ["metadata.name: oauth2-proxy\n", "metadata.name: {{ .Values.networkPolicy.pageNamespace }}\n"],
      OPERATIONS_PORTS,
    ],
  },
  {
    source: "components/monitoring/pod-monitor.yaml",
    when: ".Values.monitoring.enabled",
    edits: [
      [":8081", ':{{ include "mlflow-kserve.operationsPort" . }}'],
      [
        "      scheme: http\n",
        `      {{- if ${HTTPS} }}
      scheme: https
      tlsConfig:
        ca:
          secret:
            name: mlflow-kserve-webhook-tls
            key: ca.crt
        serverName: mlflow-kserve-webhook-listener.pepr-system.svc
      {{- else }}
      scheme: http
      {{- end }}
`,
      ],
    ],
  },
];

const MONITORING = "components/monitoring";
/** Taken into the chart as they are, since they have braces of their own. */
const RULES = ["alerts", "service-levels"];
const DASHBOARDS = ["operator", "models"];

/** The chart's files that come from k8s/, by their path in the chart. @throws Error when a source has changed its form */
export function componentFiles(): Record<string, string> {
  const files: Record<string, string> = {};
  for (const { source, when, edits = [] } of TEMPLATES) {
    const template = editText(read(source), `k8s/${source}`, edits);
    files[`templates/${source.replaceAll("/", "-")}`] = when === undefined ? template : conditional(when, template);
  }
  for (const name of RULES) {
    files[`files/${name}.yaml`] = read(`${MONITORING}/${name}.yaml`);
    const template = `{{ .Files.Get "files/${name}.yaml" }}`;
    files[`templates/monitoring-${name}.yaml`] = conditional(".Values.monitoring.enabled", template);
  }
  for (const name of DASHBOARDS) {
    files[`files/${name}.json`] = read(`${MONITORING}/dashboards/${name}.json`);
    files[`templates/monitoring-dashboard-${name}.yaml`] = conditional(".Values.monitoring.enabled", dashboard(name));
  }
  files["files/inference-service.yaml.txt"] = read("base/inference-service.yaml.txt");
  files["templates/cluster-role.yaml"] = clusterRole();
  return files;
}

function read(source: string): string {
  return readFileSync(path.join("k8s", source), "utf8");
}

function conditional(when: string, template: string): string {
  return `{{- if ${when} }}\n${template.trimEnd()}\n{{- end }}\n`;
}

function dashboard(name: string): string {
  return `apiVersion: v1
kind: ConfigMap
metadata:
  name: mlflow-kserve-dashboard-${name}
  namespace: pepr-system
  labels:
    grafana_dashboard: "1"
    app.kubernetes.io/part-of: mlflow-kserve
  annotations:
    grafana_folder: mlflow-kserve
data:
  mlflow-kserve-${name}.json: |
    {{- .Files.Get "files/${name}.json" | nindent 4 }}
`;
}

interface RolePatch {
  readonly op: string;
  readonly path: string;
  readonly value: unknown;
}

/** Rights for the whole cluster: as k8s/base has them, or the component one-namespace; and what the values add. */
function clusterRole(): string {
  const [ofBase] = load(read("base/cluster-role.patch.yaml")) as RolePatch[];
  const component = load(read("components/one-namespace/kustomization.yaml")) as { patches: [{ patch: string }] };
  const [ofComponent] = load(component.patches[0].patch) as RolePatch[];
  const rules = (patch: RolePatch | undefined, what: string): string => {
    if (patch?.path !== "/rules") throw new Error(`${what} does not replace /rules`);
    return indent(editText(dump(patch.value), what, [TARGET_NAMESPACE]), 2);
  };
  return `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ .Values.uuid }}
rules:
  {{- if .Values.oneNamespace }}
${rules(ofComponent, "The component one-namespace")}
  {{- else }}
${rules(ofBase, "k8s/base/cluster-role.patch.yaml")}
  {{- end }}
  {{- with .Values.rbac }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
`;
}
