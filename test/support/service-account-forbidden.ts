import type { ApiServerRequest } from "../../capabilities/kubernetes/api-server";

/** A request that must be refused, and the words of the API server's authorizer. */
export type Forbidden = readonly [what: string, request: ApiServerRequest, refusal: string];

/**
 * What nobody but an administrator should be able to do with the cluster that the module runs in.
 *
 * @param foreign a namespace that the module has nothing to do with
 */
export function forbiddenRequests(foreign: string): Forbidden[] {
  const get = (path: string): ApiServerRequest => ({ method: "GET", path });
  const post = (path: string): ApiServerRequest => ({ method: "POST", path, body: {} });
  const patch = (path: string): ApiServerRequest => ({
    method: "PATCH",
    path,
    contentType: "application/merge-patch+json",
    body: { metadata: { labels: { taken: "over" } } },
  });
  const core = "/api/v1/namespaces/pepr-system";
  const rbac = "/apis/rbac.authorization.k8s.io/v1";
  const crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  const kserveCrd = "inferenceservices.serving.kserve.io";
  const admission = "/apis/admissionregistration.k8s.io/v1";
  const deployments = "/apis/apps/v1/namespaces/pepr-system/deployments";
  const account = `${core}/serviceaccounts/default`;
  return [
    ["another Secret", get(`${core}/secrets/pepr-mlflow-kserve-tls`), "cannot get resource"],
    ["the list of Secrets", get(`${core}/secrets`), "cannot list resource"],
    ["the list of all Secrets", get("/api/v1/secrets"), "cannot list resource"],
    ["a change of its own Secret", patch(`${core}/secrets/mlflow-webhook-secret`), "cannot patch resource"],
    ["another ConfigMap", get(`${core}/configmaps/kube-root-ca.crt`), "cannot get resource"],
    ["the list of ConfigMaps", get(`${core}/configmaps`), "cannot list resource"],
    ["a change of its own ConfigMap", patch(`${core}/configmaps/mlflow-kserve-config`), "cannot patch resource"],
    ["one Pod", get(`${core}/pods/any`), "cannot get resource"],
    ["the log of a Pod", get(`${core}/pods/any/log`), "cannot get resource"],
    ["a Pod", post(`${core}/pods`), "cannot create resource"],
    ["a command in a Pod", post(`${core}/pods/any/exec`), "cannot create resource"],
    ["a Deployment", post(deployments), "cannot create resource"],
    ["a change of its own Deployment", patch(`${deployments}/pepr-mlflow-kserve`), "cannot patch resource"],
    ["the list of Nodes", get("/api/v1/nodes"), "cannot list resource"],
    ["the list of Namespaces", get("/api/v1/namespaces"), "cannot list resource"],
    ["the list of Events", get(`${core}/events`), "cannot list resource"],
    ["a token of a ServiceAccount", post(`${account}/token`), "cannot create resource"],
    ["a Role", post(`${rbac}/namespaces/pepr-system/roles`), "cannot create resource"],
    ["a RoleBinding", post(`${rbac}/namespaces/pepr-system/rolebindings`), "cannot create resource"],
    ["a ClusterRole", post(`${rbac}/clusterroles`), "cannot create resource"],
    ["a ClusterRoleBinding", post(`${rbac}/clusterrolebindings`), "cannot create resource"],
    ["a change of a ClusterRole", patch(`${rbac}/clusterroles/pepr-mlflow-kserve`), "cannot patch resource"],
    ["a change of KServe's CRD", patch(`${crds}/${kserveCrd}`), "cannot patch resource"],
    ["another CRD", post(crds), "cannot create resource"],
    ["the end of Pepr's CRD", { method: "DELETE", path: `${crds}/peprstores.pepr.dev` }, "cannot delete resource"],
    ["an admission webhook", post(`${admission}/mutatingwebhookconfigurations`), "cannot create resource"],
    [
      "a status of an InferenceService",
      patch(`/apis/serving.kserve.io/v1beta1/namespaces/${foreign}/inferenceservices/any/status`),
      "cannot patch resource",
    ],
    [
      "another store of Pepr's",
      patch("/apis/pepr.dev/v1/namespaces/pepr-system/peprstores/other"),
      "cannot patch resource",
    ],
  ];
}
