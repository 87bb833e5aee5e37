{{- /* One that somebody else made is used as it is; ours is kept as it is. */}}
{{- $name := "mlflow-webhook-secret" }}
{{- $live := lookup "v1" "Secret" "pepr-system" $name }}
{{- $owner := dig "metadata" "annotations" "meta.helm.sh/release-name" "" (default dict $live) }}
{{- if and .Values.webhookSecret.create (not .Values.pollingOnly) (or (not $live) (eq $owner .Release.Name)) }}
apiVersion: v1
kind: Secret
metadata:
  name: {{ $name }}
  namespace: pepr-system
type: Opaque
data:
  {{- if .Values.webhookSecret.value }}
  secret: {{ .Values.webhookSecret.value | b64enc }}
  {{- else }}
  secret: {{ dig "data" "secret" (randAlphaNum 44 | b64enc) (default dict $live) }}
  {{- end }}
{{- end }}
