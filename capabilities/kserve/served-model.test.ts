import { describe, expect, it } from "vitest";
import { liveService } from "../../test/support/unit/objects";
import { servedModelName } from "./served-model";

const served = (spec: Record<string, unknown>): string => servedModelName(liveService(undefined, { spec }));
const withEnvironment = (env: unknown): Record<string, unknown> => ({ predictor: { model: { env } } });

describe("what a model is called by its server", () => {
  it("is what the environment says", () => {
    const env = [
      { name: "OTHER", valueFrom: { fieldRef: {} } },
      { name: "MLSERVER_MODEL_NAME", value: "iris" },
    ];
    expect(served(withEnvironment(env))).toBe("iris");
  });

  it.each([
    ["nothing", {}],
    ["no such variable", withEnvironment([{ name: "OTHER", value: "x" }])],
    ["another form", withEnvironment("MLSERVER_MODEL_NAME")],
    ["containers of its own", { predictor: { containers: [{ name: "kserve-container" }] } }],
  ])("is the service's name where its spec has %s", (_, spec) => {
    expect(served(spec)).toBe("mlflow-iris-v3");
  });
});
