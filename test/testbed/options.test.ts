import { describe, expect, test } from "vitest";
import { testbedOptionsFrom } from "./options";

describe("what the user brings along", () => {
  test("is nothing by default", () => {
    expect(testbedOptionsFrom([], {})).toEqual({});
  });

  test("comes from flags or from the environment, each on its own", () => {
    expect(testbedOptionsFrom(["--kubeconfig", __filename], {})).toEqual({ kubeconfig: __filename });
    expect(testbedOptionsFrom([], { MLFLOW_TRACKING_URI: "http://127.0.0.1:5000/" })).toEqual({
      mlflowTrackingUri: "http://127.0.0.1:5000",
    });
  });

  test("a flag goes before its variable", () => {
    const environment = { MLFLOW_TRACKING_URI: "http://variable:5000" };

    expect(testbedOptionsFrom(["--mlflow=http://flag:5000"], environment)).toEqual({
      mlflowTrackingUri: "http://flag:5000",
    });
  });

  test("flags of others are left alone, and an empty variable counts as none", () => {
    expect(testbedOptionsFrom(["--once", "more"], { KUBECONFIG: "" })).toEqual({});
  });

  test.each([
    [["--kubeconfig", "/nowhere/config"], {}, "--kubeconfig names a file that is not there (/nowhere/config)"],
    [[], { KUBECONFIG: "/nowhere/a:/nowhere/b" }, "KUBECONFIG names several files"],
    [["--mlflow"], {}, "--mlflow needs a value"],
    [[], { MLFLOW_TRACKING_URI: "sqlite:///mlflow.db" }, "MLFLOW_TRACKING_URI must be the http or https URL"],
  ])("%j with %j is refused: %s", (argv, environment, message) => {
    expect(() => testbedOptionsFrom(argv, environment)).toThrow(message);
  });
});
