import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { thrownBy } from "../../test/support/unit/outcomes";
import { readConfiguration } from "./configuration";
import type { TemplateVariables } from "../template/rendering";
import { SettingsError } from "./settings";

const VALUES: TemplateVariables = {
  name: "mlflow-iris-v3",
  namespace: "models",
  model_name: "iris",
  model_label: "iris",
  model_version: "3",
  storage_uri: "s3://bucket/iris",
  run_id: "0a1b2c",
  experiment_id: "1",
  cpu_request: "100m",
  cpu_limit: "1",
  memory_request: "512Mi",
  memory_limit: "2Gi",
};

const TEMPLATE = `apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: "{{name}}"
  namespace: "{{namespace}}"
spec:
  own: "{{model_name}}"
`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "configuration-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function read(settings: Readonly<Record<string, string>> = {}): ReturnType<typeof readConfiguration> {
  const all = {
    MLFLOW_TRACKING_URI: "http://mlflow:5000",
    MLFLOW_WEBHOOK_SECRET: "geheim, und lang genug",
    ...settings,
  };
  return readConfiguration(
    Object.fromEntries(Object.entries(all).map(([name, value]) => [`MLFLOW_KSERVE_${name}`, value])),
  );
}

function problemsOf(settings: Readonly<Record<string, string>>): string {
  const error = thrownBy(() => read(settings));
  expect(error).toBeInstanceOf(SettingsError);
  return error.message;
}

describe("readConfiguration", () => {
  it("reads storage URIs that are allowed, and names each that is none", () => {
    const { settings } = read({ ALLOWED_STORAGE_URIS: "s3://models, pvc://claim/a,," });
    expect(settings.ALLOWED_STORAGE_URIS).toEqual(["s3://models", "pvc://claim/a"]);
    const problems = problemsOf({ ALLOWED_STORAGE_URIS: "s3://models,models,file:///a" });
    expect(problems).toContain('"models" is no storage that KServe reads');
    expect(problems).toContain('"file:///a" is no storage that KServe reads');
  });

  it("uses the built-in template when none is named", () => {
    for (const settings of [{}, { INFERENCE_SERVICE_TEMPLATE: "" }]) {
      const { spec } = read(settings).template.render(VALUES);
      expect(spec).toMatchObject({ predictor: { model: { storageUri: "s3://bucket/iris" } } });
    }
  });

  it("takes a template from a file, or as YAML in the setting itself", () => {
    const path = join(folder, "template.yaml");
    writeFileSync(path, TEMPLATE);
    for (const setting of [path, TEMPLATE]) {
      expect(read({ INFERENCE_SERVICE_TEMPLATE: setting }).template.render(VALUES).spec).toEqual({ own: "iris" });
    }
  });

  it.each([
    ["a file that is not there", () => join(folder, "missing.yaml"), /cannot be used: ENOENT.*missing\.yaml/],
    ["a folder", () => folder, /cannot be used: EISDIR/],
    ["YAML on one line", () => "{kind: InferenceService}", /cannot be used: ENOENT/],
  ])("says what to do about %s", (_, setting, cause) => {
    const message = problemsOf({ INFERENCE_SERVICE_TEMPLATE: setting() });
    expect(message).toMatch(cause);
    expect(message).toContain("give the path of a readable file, or YAML of several lines");
  });

  it("names the template's file, line and cause", () => {
    const path = join(folder, "broken.yaml");
    writeFileSync(path, TEMPLATE.replace("{{model_name}}", "{{model}}"));
    const message = problemsOf({ INFERENCE_SERVICE_TEMPLATE: path });
    expect(message).toContain("MLFLOW_KSERVE_INFERENCE_SERVICE_TEMPLATE cannot be used: ");
    expect(message).toMatch(/broken\.yaml:7:\d+: {{model}} is no variable: write one of name, namespace,/);
  });

  it("lists the problems of settings, template, namespace and storage together", () => {
    const message = problemsOf({
      APP_PORT: "x",
      INFERENCE_SERVICE_TEMPLATE: join(folder, "missing.yaml"),
      KUBE_NAMESPACE: "n".repeat(40),
      STORAGE_URI_BASE: "file:///mlruns",
    });
    expect(message).toContain("4 settings are invalid:");
    expect(message).toContain('MLFLOW_KSERVE_APP_PORT="x"');
    expect(message).toContain("MLFLOW_KSERVE_INFERENCE_SERVICE_TEMPLATE cannot be used");
    expect(message).toMatch(
      /MLFLOW_KSERVE_KUBE_NAMESPACE is not usable: .* has 40 characters.*use a namespace of at most/,
    );
    expect(message).toMatch(/MLFLOW_KSERVE_STORAGE_URI_BASE is not usable: .*file.*give the --artifacts-destination/);
  });

  it("does not show a storage's credentials", () => {
    expect(problemsOf({ STORAGE_URI_BASE: "https://host/models?sig=geheim" })).not.toContain("geheim");
    expect(problemsOf({ STORAGE_URI_BASE: "ftp://user:geheim@host/models" })).not.toContain("geheim");
  });
});
