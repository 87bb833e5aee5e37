{{- /* Made when it is missing, and kept: what is served in it is the user's. Left to whoever made it otherwise. */}}
{{- $live := lookup "v1" "Namespace" "" .Values.targetNamespace }}
{{- $owner := dig "metadata" "annotations" "meta.helm.sh/release-name" "" (default dict $live) }}
{{- if or (not $live) (eq $owner .Release.Name) }}
apiVersion: v1
kind: Namespace
metadata:
  name: {{ .Values.targetNamespace }}
  labels:
    app.kubernetes.io/component: models
  annotations:
    helm.sh/resource-policy: keep
{{- end }}
