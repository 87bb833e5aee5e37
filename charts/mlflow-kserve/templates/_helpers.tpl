{{/* The port that the endpoint listens on. */}}
{{- define "mlflow-kserve.endpointPort" -}}
{{ if .Values.https.enabled }}8443{{ else }}8000{{ end }}
{{- end -}}

{{/* The port of /services, /metrics and the probes. */}}
{{- define "mlflow-kserve.operationsPort" -}}
{{ if .Values.onePort }}{{ include "mlflow-kserve.endpointPort" . }}{{ else }}8081{{ end }}
{{- end -}}

{{/* Where MLflow sends its deliveries. */}}
{{- define "mlflow-kserve.webhookUrl" -}}
{{- if .Values.ingress.enabled -}}
https://{{ .Values.ingress.host }}/webhook
{{- else -}}
{{ if .Values.https.enabled }}https{{ else }}http{{ end }}://mlflow-kserve-webhook-listener.pepr-system.svc/webhook
{{- end -}}
{{- end -}}

{{/* Where the watcher asks the pods that take deliveries. */}}
{{- define "mlflow-kserve.webhookPodsUrl" -}}
{{ if .Values.https.enabled }}https{{ else }}http{{ end }}://mlflow-kserve-operations.pepr-system.svc:{{ include "mlflow-kserve.operationsPort" . }}
{{- end -}}

{{/* A probe of the endpoint, by HTTPS where the endpoint speaks it, on the port that there is. Takes a dict of "probe" and "root". */}}
{{- define "mlflow-kserve.probe" -}}
{{- $probe := deepCopy .probe -}}
{{- if eq (toString (dig "httpGet" "port" "" $probe)) "operations" -}}
{{- if .root.Values.https.enabled }}{{ $_ := set $probe.httpGet "scheme" "HTTPS" }}{{ end -}}
{{- if .root.Values.onePort }}{{ $_ := set $probe.httpGet "port" "endpoint" }}{{ end -}}
{{- end -}}
{{- toYaml $probe -}}
{{- end -}}

{{/* The settings by name; those that are given as settings go before the others. */}}
{{- define "mlflow-kserve.settings" -}}
{{- $settings := dict
  "MLFLOW_KSERVE_MLFLOW_TRACKING_URI" .Values.mlflow.trackingUri
  "MLFLOW_KSERVE_MLFLOW_WEBHOOK_URL" (include "mlflow-kserve.webhookUrl" .)
  "MLFLOW_KSERVE_WEBHOOK_PODS_URL" (include "mlflow-kserve.webhookPodsUrl" .)
  "MLFLOW_KSERVE_INFERENCE_SERVICE_TEMPLATE" "mlflow-kserve-template/inference-service.yaml" -}}
{{- with .Values.mlflow.storageUriBase }}{{ $_ := set $settings "MLFLOW_KSERVE_STORAGE_URI_BASE" . }}{{ end -}}
{{- if ne .Values.targetNamespace "kserve-mlflow-models" -}}
{{- $_ := set $settings "MLFLOW_KSERVE_KUBE_NAMESPACE" .Values.targetNamespace -}}
{{- end -}}
{{- if not .Values.onePort -}}
{{- $_ := set $settings "MLFLOW_KSERVE_OPERATIONS_PORT" (include "mlflow-kserve.operationsPort" .) -}}
{{- end -}}
{{- if .Values.pollingOnly -}}
{{- $_ := set $settings "MLFLOW_KSERVE_DISABLE_WEBHOOKS" "true" -}}
{{- $_ := set $settings "MLFLOW_KSERVE_POLLING_INTERVAL" "60" -}}
{{- end -}}
{{- if .Values.https.enabled -}}
{{- $_ := set $settings "MLFLOW_KSERVE_APP_PORT" (include "mlflow-kserve.endpointPort" .) -}}
{{- $_ := set $settings "MLFLOW_KSERVE_TLS_CERT_FILE" "/etc/mlflow-kserve/tls/tls.crt" -}}
{{- $_ := set $settings "MLFLOW_KSERVE_TLS_KEY_FILE" "/etc/mlflow-kserve/tls/tls.key" -}}
{{- end -}}
{{- toYaml (mergeOverwrite $settings .Values.settings) -}}
{{- end -}}

{{/* The InferenceService template. */}}
{{- define "mlflow-kserve.template" -}}
{{- .Values.inferenceServiceTemplate | default (.Files.Get "files/inference-service.yaml.txt") -}}
{{- end -}}

{{/* Settings are read at the start of a pod: with this in its annotations it starts anew when they change. */}}
{{- define "mlflow-kserve.checksum" -}}
{{- printf "%s\n%s" (include "mlflow-kserve.settings" .) (include "mlflow-kserve.template" .) | sha256sum -}}
{{- end -}}
