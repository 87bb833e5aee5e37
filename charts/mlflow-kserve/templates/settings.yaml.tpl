apiVersion: v1
kind: ConfigMap
metadata:
  name: mlflow-kserve-config
  namespace: pepr-system
data:
  {{- include "mlflow-kserve.settings" . | nindent 2 }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: mlflow-kserve-template
  namespace: pepr-system
data:
  inference-service.yaml: |
    {{- include "mlflow-kserve.template" . | nindent 4 }}
