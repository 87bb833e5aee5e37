import { expect, it } from "vitest";
import { namesFor } from "./names";

it("names things as the documentation does, and otherwise in systems of somebody's", () => {
  const documented = { namespace: "kserve-mlflow-models", module: "mlflow-kserve", model: "iris", tag: "deploy" };
  const module = "mlflow-kserve-demo-1a2b";
  expect(namesFor({}, "1a2b")).toEqual(documented);
  expect(namesFor({ kubeconfig: "config" }, "1a2b")).toEqual({ ...documented, module, namespace: module });
  expect(namesFor({ mlflowTrackingUri: "http://mlflow:5000" }, "1a2b")).toEqual({
    ...documented,
    ...{ module, model: "iris-demo-1a2b", tag: "deploy-demo-1a2b" },
  });
});
