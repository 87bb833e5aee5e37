import { describe, expect, it } from "vitest";
import { listManaged } from "../../test/support/managed-services";
import { rejectionOf } from "../../test/support/unit/outcomes";
import { liveService } from "../../test/support/unit/objects";
import type { ApiServerRequest } from "../kubernetes/api-server";
import { KubernetesError } from "../kubernetes/api-server";
import { createInferenceServices } from "./inference-services";
import { parseLive } from "./live-inference-service";
import type { InferenceServices } from "./inference-services";

const COLLECTION = "/apis/serving.kserve.io/v1beta1/namespaces/models/inferenceservices";
const LIVE = liveService();
const NAME = LIVE.metadata.name;
const OBJECT = {
  apiVersion: "serving.kserve.io/v1beta1",
  kind: "InferenceService",
  metadata: { name: NAME, namespace: "models" },
  spec: { predictor: {} },
} as const;

type Answer = (request: ApiServerRequest) => unknown;

function servicesWith(answer: Answer): { readonly services: InferenceServices; readonly requests: ApiServerRequest[] } {
  const requests: ApiServerRequest[] = [];
  const services = createInferenceServices(request => {
    requests.push(request);
    return new Promise(resolve => {
      resolve({ status: 200, body: answer(request) });
    });
  }, "models");
  return { services, requests };
}

const refused = (status: number, reason: string, name?: string) => (): never => {
  throw new KubernetesError(status, reason, "refused", { name });
};

describe("get", () => {
  it("reads the object of that name", async () => {
    const { services, requests } = servicesWith(() => LIVE);
    expect(await services.get(NAME)).toEqual(LIVE);
    expect(requests).toEqual([{ method: "GET", path: `${COLLECTION}/${NAME}` }]);
  });

  it("says undefined only when the object itself is not found", async () => {
    expect(await servicesWith(refused(404, "NotFound", NAME)).services.get(NAME)).toBeUndefined();
  });

  it.each([
    ["the namespace is not there", refused(404, "NotFound", "models")],
    ["the CRD is not there", refused(404, "Unknown")],
    ["the right is missing", refused(403, "Forbidden", NAME)],
    ["there is no answer", refused(0, "NoAnswer")],
  ])("fails when %s", async (_, answer) => {
    expect(await rejectionOf(servicesWith(answer).services.get(NAME))).toBeInstanceOf(KubernetesError);
  });

  it("fails with cause and cure, on one line, when the object has an unknown form", async () => {
    const { services } = servicesWith(() => ({ metadata: { name: NAME } }));
    const error = await rejectionOf(services.get(NAME));
    expect(error).toBeInstanceOf(KubernetesError);
    expect(error.message).toMatch(
      /^The Kubernetes API server answered in an unknown form \(metadata\.namespace: .*\); check that KServe's CRDs have serving\.kserve\.io\/v1beta1$/,
    );
  });
});

describe("managedPages", () => {
  it("asks for our label, page by page", async () => {
    const other = liveService({ model: "wine", version: "1" });
    const { services, requests } = servicesWith(({ query }) =>
      query?.continue === undefined
        ? { metadata: { continue: "two" }, items: [LIVE] }
        : { metadata: { continue: "" }, items: [other] },
    );
    expect(await listManaged(services)).toEqual([LIVE, other]);
    const first = { labelSelector: "managed-by=mlflow-kserve-webhook-listener", limit: "500" };
    expect(requests).toEqual([
      { method: "GET", path: COLLECTION, query: first },
      { method: "GET", path: COLLECTION, query: { ...first, continue: "two" } },
    ]);
  });

  it.each([
    ["has expired", refused(410, "Expired")],
    ["has no items", () => ({ metadata: {} })],
    ["has an item of another form", () => ({ items: [LIVE, { metadata: {} }] })],
  ])("gives no partial list when the second page %s", async (_, second) => {
    const { services } = servicesWith(request =>
      request.query?.continue === undefined ? { metadata: { continue: "two" }, items: [LIVE] } : second(),
    );
    expect(await rejectionOf(listManaged(services))).toBeInstanceOf(KubernetesError);
  });
});

describe("apply", () => {
  const apply = { method: "PATCH", path: `${COLLECTION}/${NAME}`, contentType: "application/apply-patch+yaml" };
  const query = { fieldManager: "mlflow-kserve-webhook-listener", fieldValidation: "Strict" };

  it("takes over nobody's fields when it is meant to create", async () => {
    const { services, requests } = servicesWith(() => LIVE);
    expect(await services.apply(OBJECT)).toEqual(LIVE);
    expect(requests).toEqual([{ ...apply, query: { ...query, force: "false" }, body: OBJECT }]);
  });

  describe("when somebody else made the object just before, without a field that says otherwise", () => {
    const theirs = {
      manager: "kubectl-create",
      operation: "Update",
      subresource: "",
      time: "",
      fieldsV1: { "f:spec": {} },
    };
    const merged = { ...LIVE, metadata: { ...LIVE.metadata, managedFields: [theirs] } };

    it("takes back what it put into it", async () => {
      const { services, requests } = servicesWith(() => merged);
      expect(await rejectionOf(services.apply(OBJECT))).toMatchObject({ status: 409, reason: "Conflict" });
      const { name, namespace, uid } = LIVE.metadata;
      const { apiVersion, kind } = OBJECT;
      expect(requests[1]).toEqual({
        ...apply,
        query: { ...query, force: "false" },
        body: { apiVersion, kind, metadata: { name, namespace, uid } },
      });
    });

    it("leaves it when nothing would remain: it is another replica's", async () => {
      const { services } = servicesWith(({ body }) =>
        JSON.stringify(body).includes("spec") ? merged : refused(422, "Invalid", NAME)(),
      );
      expect(await services.apply(OBJECT)).toEqual(merged);
    });
  });

  it("takes fields back from exactly the object that was read", async () => {
    const { services, requests } = servicesWith(() => LIVE);
    await services.apply(OBJECT, LIVE);
    const { uid, resourceVersion } = LIVE.metadata;
    const body = { ...OBJECT, metadata: { ...OBJECT.metadata, uid, resourceVersion } };
    expect(requests).toEqual([{ ...apply, query: { ...query, force: "true" }, body }]);
    expect(OBJECT.metadata).not.toHaveProperty("uid");
  });
});

describe("delete", () => {
  it("deletes exactly the object that was read", async () => {
    const { services, requests } = servicesWith(() => ({}));
    await services.delete(LIVE);
    const { uid, resourceVersion } = LIVE.metadata;
    expect(requests).toMatchObject([
      { method: "DELETE", path: `${COLLECTION}/${NAME}`, body: { preconditions: { uid, resourceVersion } } },
    ]);
  });

  it("takes it for done when the object is gone", async () => {
    await servicesWith(refused(404, "NotFound", NAME)).services.delete(LIVE);
  });

  it.each([refused(404, "NotFound", "models"), refused(409, "Conflict", NAME), refused(403, "Forbidden", NAME)])(
    "fails otherwise (%#)",
    async answer => {
      expect(await rejectionOf(servicesWith(answer).services.delete(LIVE))).toBeInstanceOf(KubernetesError);
    },
  );
});

describe("parseLive", () => {
  it("keeps every field of a spec, and needs no status", () => {
    const spec = { predictor: { model: { args: ["a"], unknown: { deep: [1, null] } } } };
    expect(parseLive({ ...LIVE, spec, status: undefined })).toMatchObject({ spec, status: { conditions: [] } });
  });

  it.each([undefined, null, "x", {}, { metadata: { ...LIVE.metadata, uid: undefined } }])(
    "gives nothing for %j",
    object => {
      expect(parseLive(object)).toBeUndefined();
    },
  );
});
