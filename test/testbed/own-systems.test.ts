import { describe, expect, test } from "vitest";
import { refusalOf } from "./own-systems";

describe("a cluster that the user brings", () => {
  const nothing = { deployments: [], webhookConfigurations: [], inferenceServices: [] };

  test("is used when it has nothing of the module", () => {
    expect(refusalOf("config", nothing)).toBeUndefined();
  });

  test.each([
    [{ deployments: ["pepr-system/pepr-mlflow-kserve-watcher"] }, "installed (pepr-system/pepr-mlflow-kserve-watcher)"],
    [{ webhookConfigurations: ["pepr-mlflow-kserve"] }, "installed (pepr-mlflow-kserve)"],
    [
      { inferenceServices: ["a/1", "a/2", "a/3", "a/4", "a/5"] },
      "InferenceServices that mlflow-kserve manages (a/1, a/2, a/3 and 2 more)",
    ],
  ])("is refused with %j, with the cure", (found, cause) => {
    const refusal = refusalOf("config", { ...nothing, ...found });
    expect(refusal).toContain(cause);
    expect(refusal).toContain("leave the flag out to get a cluster of our own");
  });
});
