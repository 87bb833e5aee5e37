import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { createCertificates } from "./certificates";
import { kubeconfigText } from "./kubeconfig";
import { testbedOptionsFrom, testbedOptionsFromFlags } from "./options";

const directory = mkdtempSync(join(tmpdir(), "mlflow-kserve-options-"));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

function file(name: string, text: string): string {
  writeFileSync(join(directory, name), text);
  return join(directory, name);
}

describe("what the user brings along", () => {
  test("comes from flags, each on its own, and other flags are left alone", () => {
    expect(testbedOptionsFromFlags(["--once", "more"])).toEqual({});
    expect(testbedOptionsFromFlags(["--kubeconfig", __filename])).toEqual({ kubeconfig: __filename });
    expect(testbedOptionsFromFlags(["--mlflow=http://flag:5000/"])).toEqual({ mlflowTrackingUri: "http://flag:5000" });
  });

  test.each([
    [["--kubeconfig", "/nowhere/config"], "--kubeconfig names a file that is not there (/nowhere/config)"],
    [["--kubeconfig", "/nowhere/a:/nowhere/b"], "--kubeconfig names several files"],
    [["--mlflow"], "--mlflow needs a value"],
    [["--mlflow", "sqlite:///mlflow.db"], "--mlflow must be the http or https URL"],
  ])("%j is refused: %s", (argv, message) => {
    expect(() => testbedOptionsFromFlags(argv)).toThrow(message);
  });
});

describe("for tests, what is in the environment", () => {
  const mlflow = { MLFLOW_TRACKING_URI: "http://127.0.0.1:5000/" };

  test("counts when a testbed printed it", async () => {
    const text = kubeconfigText("https://127.0.0.1:16443", await createCertificates());
    const kubeconfig = file("testbed", text);

    expect(testbedOptionsFrom([], { KUBECONFIG: kubeconfig, ...mlflow })).toEqual({
      kubeconfig,
      mayBeInUse: true,
      mlflowTrackingUri: "http://127.0.0.1:5000",
    });
    // A flag is a wish for that alone.
    expect(testbedOptionsFrom(["--kubeconfig", __filename], { KUBECONFIG: kubeconfig, ...mlflow })).toEqual({
      kubeconfig: __filename,
    });
    const elsewhere = file("elsewhere", text.replace("https://127.0.0.1:", "https://10.1.2.3:"));
    expect(testbedOptionsFrom([], { KUBECONFIG: elsewhere }, () => undefined)).toEqual({});
  });

  test.each([
    ["no kubeconfig", file("foreign", "- 1"), "KUBECONFIG"],
    ["a cluster of somebody's", file("kind", "clusters: [{name: kind}]\ncurrent-context: kind"), "KUBECONFIG"],
    ["no YAML", file("odd", "{"), "KUBECONFIG"],
    ["a file that is not there", "/nowhere/config", "KUBECONFIG"],
    ["several files", "/nowhere/a:/nowhere/b", "KUBECONFIG"],
    ["an MLflow alone", "", "MLFLOW_TRACKING_URI"],
  ])("is left alone, and that is said, when it names %s", (_what, kubeconfig, variable) => {
    const said: string[] = [];
    expect(testbedOptionsFrom([], { KUBECONFIG: kubeconfig, ...mlflow }, message => said.push(message))).toEqual({});
    expect(said).toEqual([expect.stringMatching(`^${variable} .*is left alone`)]);
  });
});
