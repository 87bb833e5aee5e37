import { readFileSync } from "node:fs";
import { dump, load } from "js-yaml";
import { editText, indent } from "./text-edits";
import type { Edit } from "./text-edits";

/** Pepr's two Deployments, as its chart and its pods' labels name them. */
export type Role = "admission" | "watcher";

interface PlacementPatch {
  readonly spec: {
    readonly strategy: unknown;
    readonly template: { readonly spec: { readonly affinity: unknown; readonly topologySpreadConstraints: unknown } };
  };
}

const OPERATIONS_PORT = `            {{- if not .Values.onePort }}
            - name: operations
              containerPort: {{ include "mlflow-kserve.operationsPort" . }}
            {{- end }}
`;
const TLS_MOUNT = `            {{- if .Values.https.enabled }}
            - name: endpoint-tls
              mountPath: /etc/mlflow-kserve/tls
              readOnly: true
            {{- end }}
`;
const TLS_VOLUME = `        {{- if .Values.https.enabled }}
        - name: endpoint-tls
          secret:
            secretName: mlflow-kserve-webhook-tls
        {{- end }}
`;

/**
 * Completes a Deployment's template of Pepr's chart with what k8s/base and the components do to the Deployment: the
 * endpoint's ports and probes, its certificate, the placement of several pods; and with a new start when the settings change.
 *
 * @param template as Pepr 1.1.4 writes it
 * @param hash of the module; as a value, `helm upgrade --reuse-values` would keep the one of the version before
 * @throws Error when Pepr writes it differently
 */
export function completeDeployment(template: string, role: Role, hash: string): string {
  const values = `.Values.${role}`;
  const probe = (name: string): string => `{{- toYaml ${values}.${name} | nindent 12 }}`;
  const ourProbe = (name: string): string =>
    `{{- include "mlflow-kserve.probe" (dict "probe" ${values}.${name} "root" .) | nindent 12 }}`;
  const timestamp = /^ +buildTimestamp: "\d+"\n/m.exec(template)?.[0] ?? "buildTimestamp";
  const edits: Edit[] = [
    ["{{ .Values.hash }}", hash],
    [timestamp, `${timestamp}        checksum/settings: {{ include "mlflow-kserve.checksum" . }}\n`],
    [
      "          readinessProbe:\n",
      `          startupProbe:\n            ${probe("startupProbe")}\n          readinessProbe:\n`,
    ],
    [probe("readinessProbe"), ourProbe("readinessProbe")],
    [probe("livenessProbe"), ourProbe("livenessProbe")],
    [
      "            - containerPort: 3000\n",
      '            - name: endpoint\n              containerPort: {{ include "mlflow-kserve.endpointPort" . }}\n' +
        OPERATIONS_PORT +
        "            - containerPort: 3000\n",
    ],
    [
      `            {{- if ${values}.extraVolumeMounts }}\n`,
      `${TLS_MOUNT}            {{- if ${values}.extraVolumeMounts }}\n`,
    ],
    [`        {{- if ${values}.extraVolumes }}\n`, `${TLS_VOLUME}        {{- if ${values}.extraVolumes }}\n`],
    ...pullSecretsOfThePod(),
  ];
  return editText(template, `Pepr's Deployment template of ${role}`, [
    ...edits,
    ...(role === "admission" ? placement() : []),
  ]);
}

/** Pepr gives them to the container, which has no such field. */
function pullSecretsOfThePod(): Edit[] {
  const ofContainer = `          {{- if gt (len .Values.imagePullSecrets) 0 }}
          imagePullSecrets:
            {{- range .Values.imagePullSecrets }}
            - name: {{ . }}
            {{- end }}
          {{- end }}
`;
  const account = "      serviceAccountName: {{ .Values.uuid }}\n";
  return [
    [ofContainer, ""],
    [account, account + ofContainer.replace(/^ {10}/gm, "      ")],
  ];
}

/** What the component high-availability does. */
function placement(): Edit[] {
  const file = "k8s/components/high-availability/placement.patch.yaml";
  const { spec } = load(readFileSync(file, "utf8")) as PlacementPatch;
  const { affinity, topologySpreadConstraints } = spec.template.spec;
  const replicas = "  replicas: 2\n";
  const ofPepr = "      {{- if or .Values.admission.antiAffinity .Values.admission.affinity }}\n";
  return [
    [
      replicas,
      `  {{- if .Values.highAvailability.enabled }}
${indent(dump({ strategy: spec.strategy }), 2)}
  {{- else }}
${replicas}  {{- end }}
`,
    ],
    [
      ofPepr,
      `      {{- if .Values.highAvailability.enabled }}
${indent(dump({ topologySpreadConstraints }), 6)}
      {{- if not (or .Values.admission.antiAffinity .Values.admission.affinity) }}
${indent(dump({ affinity }), 6)}
      {{- end }}
      {{- end }}
${ofPepr}`,
    ],
  ];
}
