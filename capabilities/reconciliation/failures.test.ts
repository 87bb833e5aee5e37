import { describe, expect, it } from "vitest";
import { KubernetesError } from "../kubernetes/api-server";
import { MlflowError } from "../mlflow/errors";
import { ForeignObjectError, RefusedError } from "./errors";
import { describeFailure } from "./failures";
import type { Failure } from "./failures";

const SUBJECT = { key: { model: "iris", version: "3" }, namespace: "models" };

/** Kind, owner, HTTP status, metric and Event of one that is permanent; kind, owner, HTTP status and metric of another. */
function essence({ kind, owner, answer, status, event }: Failure): string {
  return [kind, owner, answer, status, ...(event === undefined ? [] : [event])].join(" ");
}

describe("what is not the API server's", () => {
  it.each([
    [new MlflowError("unreachable", "it is down"), "passing mlflow 502 mlflow_error"],
    [new MlflowError("unexpected", "an HTML page"), "passing mlflow 502 mlflow_error"],
    [new MlflowError("unauthorized", "401"), "passing mlflow 502 mlflow_error"],
    [new MlflowError("refused", "starting", "TEMPORARILY_UNAVAILABLE"), "passing mlflow 502 mlflow_error"],
    [new MlflowError("refused", "Invalid model name", "INVALID_PARAMETER_VALUE"), "permanent version 422 mlflow_error"],
    [new ForeignObjectError("mlflow-iris-v3", "models", "theirs"), "permanent foreign object 409 conflict NameTaken"],
    [new RefusedError("KServe cannot read dbfs:/"), "permanent version 422 refused Refused"],
    [new TypeError("a mistake in the code"), "passing module 500 error"],
  ])("%o is described", (error, expected) => {
    const failure = describeFailure(error, SUBJECT);
    expect(essence(failure)).toBe(expected);
    expect(failure.message).toBe(error.message);
  });

  it("names the object that has the name, and takes whatever is thrown", () => {
    expect(describeFailure(new ForeignObjectError("a", "models", "theirs"), SUBJECT).uid).toBe("theirs");
    // As kubernetes-fluent-client throws.
    expect(describeFailure({ statusText: "gone" })).toMatchObject({ kind: "passing", message: "gone" });
  });
});

// Texts as kube-apiserver 1.35 and KServe 0.20 wrote them, where nothing else is said.
const IS_INVALID = 'InferenceService.serving.kserve.io "mlflow-iris-v3" is invalid: ';
const IS_FORBIDDEN = 'inferenceservices.serving.kserve.io "mlflow-iris-v3" is forbidden: ';
const VALIDATOR = 'admission webhook "inferenceservice.kserve-webhook-server.validator" denied the request: ';
const DEFAULTER = 'admission webhook "inferenceservice.kserve-webhook-server.defaulter" denied the request: ';
const TYPED_PATCH =
  "failed to create typed patch object (models/mlflow-iris-v3; serving.kserve.io/v1beta1, Kind=InferenceService): ";
const NAMED = { name: "mlflow-iris-v3", kind: "inferenceservices" };

const REJECTED = "permanent template 422 rejected RejectedByAdmission";
const INVALID = "permanent template 422 rejected Invalid";
const PASSING = "passing kubernetes 500 kubernetes_error";
const WAITING = "waiting kubernetes 500 kubernetes_error";

interface Case {
  readonly error: KubernetesError;
  readonly expected: string;
  /** What the message must have: the cause and the cure. */
  readonly says: readonly string[];
}

const CASES: Readonly<Record<string, Case>> = {
  "another deployment mode": {
    error: new KubernetesError(
      403,
      "Forbidden",
      `${VALIDATOR}update rejected: deploymentMode cannot be changed from 'Standard' to 'Knative'`,
    ),
    expected: REJECTED,
    says: [
      "from Standard to Knative",
      "delete the InferenceService so that it is made anew (kubectl delete inferenceservice mlflow-iris-v3 --namespace models)",
      "or take the annotation serving.kserve.io/deploymentMode back",
    ],
  },
  "KServe's rules": {
    error: new KubernetesError(403, "Forbidden", `${VALIDATOR}'MinReplicas' cannot be greater than MaxReplicas`),
    expected: REJECTED,
    says: ["'MinReplicas' cannot be greater than MaxReplicas; give the template (MLFLOW_KSERVE_INFERENCE"],
  },
  "what KServe cannot read": {
    error: new KubernetesError(
      400,
      "",
      `${DEFAULTER}quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'`,
    ),
    expected: REJECTED,
    says: ["quantities must match", "; give the template"],
  },
  "an admission webhook that failed": {
    error: new KubernetesError(
      500,
      "",
      `${DEFAULTER}panic: runtime error: index out of range [0] with length 0 [recovered]`,
    ),
    expected: PASSING,
    says: ["index out of range", "; the log of what serves this webhook says why"],
  },
  "an admission webhook that does not answer": {
    error: new KubernetesError(
      500,
      "InternalError",
      'Internal error occurred: failed calling webhook "gone.example.com": failed to call webhook: Post "https://127.0.0.1:9/x?timeout=10s": dial tcp 127.0.0.1:9: connect: connection refused',
    ),
    expected: PASSING,
    says: ["connection refused", "; check that what serves this webhook runs"],
  },
  "a policy": {
    error: new KubernetesError(
      422,
      "Invalid",
      `${IS_FORBIDDEN}ValidatingAdmissionPolicy 'owners' with binding 'owners' denied request: models need an owner label`,
      NAMED,
    ),
    expected: REJECTED,
    says: ["models need an owner label; give the template", "what this policy asks for, or have it changed"],
  },
  "a policy with a reason of its own": {
    error: new KubernetesError(
      403,
      "Forbidden",
      `${IS_FORBIDDEN}ValidatingAdmissionPolicy 'memory' with binding 'memory' denied request: no memory`,
      NAMED,
    ),
    expected: REJECTED,
    says: ["no memory; give the template"],
  },
  "an admission plugin": {
    // Not seen: in the form of all plugins.
    error: new KubernetesError(403, "Forbidden", `${IS_FORBIDDEN}not on a Sunday`, NAMED),
    expected: REJECTED,
    says: ["not on a Sunday; give the template"],
  },
  "an admission plugin at its start": {
    // From the API server's source: plugins that have not read the cluster yet.
    error: new KubernetesError(403, "Forbidden", `${IS_FORBIDDEN}not yet ready to handle request`, NAMED),
    expected: PASSING,
    says: ["not yet ready"],
  },
  "a quota": {
    error: new KubernetesError(
      403,
      "Forbidden",
      `${IS_FORBIDDEN}exceeded quota: services, requested: count/inferenceservices.serving.kserve.io=1, used: count/inferenceservices.serving.kserve.io=2, limited: count/inferenceservices.serving.kserve.io=1`,
      NAMED,
    ),
    expected: "permanent kubernetes 422 rejected QuotaExceeded",
    says: ["exceeded quota: services", "; have the ResourceQuota raised"],
  },
  "a missing right": {
    error: new KubernetesError(
      403,
      "Forbidden",
      `${IS_FORBIDDEN}User "system:serviceaccount:pepr-system:pepr-mlflow-kserve" cannot patch resource "inferenceservices" in API group "serving.kserve.io" in the namespace "models"`,
      NAMED,
    ),
    expected: PASSING,
    says: [
      "system:serviceaccount:pepr-system:pepr-mlflow-kserve has not the right to patch inferenceservices.serving.kserve.io in the namespace models: apply the module's manifests again",
    ],
  },
  "credentials that are not taken": {
    error: new KubernetesError(401, "Unauthorized", "Unauthorized"),
    expected: PASSING,
    says: ["401 Unauthorized", "check the ServiceAccount"],
  },
  "an unknown field": {
    error: new KubernetesError(500, "", `${TYPED_PATCH}.spec.predictor.modle: field not declared in schema`),
    expected: INVALID,
    says: [
      ".spec.predictor.modle: field not declared in schema; correct the template",
      "or install the version of KServe",
    ],
  },
  "several wrong fields": {
    error: new KubernetesError(
      500,
      "",
      `${TYPED_PATCH}errors:\n  .spec.predictor.tolerations: expected list, got &{x}\n  .spec.predictor.bad: field not declared in schema`,
    ),
    expected: INVALID,
    says: ["errors: .spec.predictor.tolerations: expected list, got &{x} .spec.predictor.bad: field not declared"],
  },
  "another type": {
    error: new KubernetesError(
      500,
      "",
      `${TYPED_PATCH}.spec.predictor.minReplicas: expected numeric (int or float), got string`,
    ),
    expected: INVALID,
    says: ["expected numeric (int or float), got string; correct the template"],
  },
  "the CRD's validation": {
    error: new KubernetesError(
      422,
      "Invalid",
      `${IS_INVALID}spec.predictor.scaleMetric: Unsupported value: "nonsense": supported values: "cpu", "memory", "concurrency", "rps"`,
      NAMED,
    ),
    expected: INVALID,
    says: ['Unsupported value: "nonsense"', "; correct the template (MLFLOW_KSERVE_INFERENCE_SERVICE_TEMPLATE)"],
  },
  "another version of the API": {
    error: new KubernetesError(
      400,
      "BadRequest",
      "invalid object type: serving.kserve.io/v1beta9, Kind=InferenceService",
    ),
    expected: INVALID,
    says: ["v1beta9, Kind=InferenceService; correct the template"],
  },
  "an object that was made again meanwhile": {
    error: new KubernetesError(
      422,
      "Invalid",
      `${IS_INVALID}metadata.uid: Invalid value: "00000000-0000-0000-0000-000000000000": field is immutable`,
      NAMED,
    ),
    expected: PASSING,
    says: ["field is immutable"],
  },
  "an object that was changed meanwhile": {
    error: new KubernetesError(
      409,
      "Conflict",
      'Operation cannot be fulfilled on inferenceservices.serving.kserve.io "mlflow-iris-v3": the object has been modified; please apply your changes to the latest version and try again',
      NAMED,
    ),
    expected: PASSING,
    says: ["the object has been modified"],
  },
  "an object that is being deleted": {
    // The reconciler's own words.
    error: new KubernetesError(
      409,
      "BeingDeleted",
      "InferenceService models/mlflow-iris-v3 is still being deleted: it waits for example.com/stuck",
    ),
    expected: WAITING,
    says: ["it waits for example.com/stuck"],
  },
  "a namespace that is being deleted": {
    error: new KubernetesError(
      403,
      "Forbidden",
      `${IS_FORBIDDEN}unable to create new content in namespace models because it is being terminated`,
      NAMED,
    ),
    expected: WAITING,
    says: ["the namespace models is being deleted", "wait for its end and make it again"],
  },
  "a namespace that does not exist": {
    error: new KubernetesError(404, "NotFound", 'namespaces "models" not found', {
      name: "models",
      kind: "namespaces",
    }),
    expected: PASSING,
    says: ["the namespace models does not exist: make it (kubectl create namespace models)"],
  },
  "no CRD": {
    error: new KubernetesError(
      404,
      "Unknown",
      "PATCH /apis/serving.kserve.io/v1beta1/namespaces/models/inferenceservices/x was answered 404: 404 page not found",
    ),
    expected: PASSING,
    says: ["install KServe"],
  },
  "no answer": {
    error: new KubernetesError(0, "NoAnswer", "The Kubernetes API server cannot be reached"),
    expected: PASSING,
    says: ["cannot be reached"],
  },
  "a proxy's page": {
    error: new KubernetesError(403, "Unknown", "PATCH /apis was answered 403: <html>who are you?</html>"),
    expected: PASSING,
    says: ["<html>"],
  },
  "an error of the API server's": {
    error: new KubernetesError(500, "InternalError", "etcd"),
    expected: PASSING,
    says: ["etcd"],
  },
};

describe("the API server's refusal", () => {
  it.each(Object.entries(CASES))("%s is described, with cause and cure", (_, { error, expected, says }) => {
    const failure = describeFailure(error, SUBJECT);
    expect(essence(failure)).toBe(expected);
    for (const text of says) expect(failure.message).toContain(text);
    expect(failure.message).not.toMatch(/\n|\.$/);
  });

  it("is about the object that could not be changed, where that is known", () => {
    const error = new KubernetesError(422, "Invalid", "no owner", { ...NAMED, uid: "ours" });
    expect(describeFailure(error, SUBJECT).uid).toBe("ours");
  });

  it("is described without the name where there can be none", () => {
    const error = CASES["another deployment mode"]?.error;
    const described = [
      describeFailure(error),
      describeFailure(error, { ...SUBJECT, key: { model: "iris", version: "x" } }),
    ];
    for (const { message } of described) expect(message).toMatch(/made anew, or take the annotation/);
  });

  it("is not taken for another one because of what a policy or webhook says", () => {
    const claims = `User "x" cannot patch resource "y" in API group "z"; failed calling webhook; exceeded quota: a`;
    for (const message of [
      `${VALIDATOR}${claims}`,
      `${IS_FORBIDDEN}ValidatingAdmissionPolicy 'a' with binding 'b' denied request: ${claims}`,
    ]) {
      expect(essence(describeFailure(new KubernetesError(403, "Forbidden", message, NAMED), SUBJECT))).toBe(REJECTED);
    }
  });
});
