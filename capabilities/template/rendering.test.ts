import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { compileTemplate, withIdentity, type TemplateVariables } from "./rendering";

const defaultTemplate = readFileSync(join(__dirname, "../../templates/inference-service.yaml.txt"), "utf8");

const VALUES: TemplateVariables = {
  name: "mlflow-iris-v3",
  namespace: "models",
  model_name: "iris",
  model_label: "iris",
  model_version: "3",
  storage_uri: "s3://bucket/1/iris",
  run_id: "0a1b2c",
  experiment_id: "1",
  cpu_request: "100m",
  cpu_limit: "1",
  memory_request: "512Mi",
  memory_limit: "2Gi",
};

const HEAD = "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\n";

/** Renders what stands under `spec:`, indented by two. */
function spec(yaml: string, values: Partial<TemplateVariables> = {}): unknown {
  const template = `${HEAD}spec:\n${yaml.replace(/^/gm, "  ")}\n`;
  return compileTemplate(template, "test.yaml").render({ ...VALUES, ...values }).spec;
}

describe("the built-in template", () => {
  it("renders an InferenceService for KServe's mlflow runtime", () => {
    expect(compileTemplate(defaultTemplate, "built-in").render(VALUES)).toEqual({
      apiVersion: "serving.kserve.io/v1beta1",
      kind: "InferenceService",
      metadata: { name: "mlflow-iris-v3", namespace: "models" },
      spec: {
        predictor: {
          model: {
            modelFormat: { name: "mlflow" },
            protocolVersion: "v2",
            storageUri: "s3://bucket/1/iris",
            env: [
              { name: "MLSERVER_MODEL_NAME", value: "iris" },
              { name: "MLSERVER_MODEL_VERSION", value: "3" },
            ],
            readinessProbe: {
              httpGet: { path: "/v2/models/iris/ready", port: 8080 },
              periodSeconds: 2,
              timeoutSeconds: 5,
              failureThreshold: 6,
            },
            terminationMessagePolicy: "FallbackToLogsOnError",
            resources: {
              requests: { cpu: "100m", memory: "512Mi" },
              limits: { cpu: "1", memory: "2Gi" },
            },
          },
        },
      },
    });
  });

  it("renders quickly enough for thousands of versions", () => {
    const template = compileTemplate(defaultTemplate, "built-in");
    const start = performance.now();
    for (let count = 0; count < 5000; count++) template.render(VALUES);
    expect(performance.now() - start).toBeLessThan(2500);
  });
});

describe("a variable", () => {
  it.each(["3", "true", "null", "~", "1e3", "0x10", "", "2024-01-01", " a ", "a: b", "{{name}}", "a\nb"])(
    "stays the text %j, quoted or not, with two braces or three",
    text => {
      const yaml = `a: {{run_id}}\nb: "{{run_id}}"\nc: '{{{run_id}}}'\nd: {{{run_id}}}\ne: {{&run_id}}\nf: [{{run_id}}]\ng: {h: {{ run_id }}}`;
      expect(spec(yaml, { run_id: text })).toEqual({
        a: text,
        b: text,
        c: text,
        d: text,
        e: text,
        f: [text],
        g: { h: text },
      });
    },
  );

  it("that is a number stays one where it is not quoted, and in no other place", () => {
    const yaml = `a: {{cpu_limit}}\nb: "{{cpu_limit}}"\nc: {{cpu_limit}}m\nd: !!str {{cpu_limit}}\ne: |-\n  {{cpu_limit}}\n{{cpu_limit}}: f`;
    expect(spec(yaml, { cpu_limit: 2.5 })).toEqual({ a: 2.5, b: "2.5", c: "2.5m", d: "2.5", e: "2.5", "2.5": "f" });
  });

  it("is put into longer texts, of all styles", () => {
    const yaml = [
      `a: x-{{run_id}}-{{experiment_id}}`,
      `b: "say \\"{{run_id}}\\"\\n"`,
      `c: |`,
      `  first {{run_id}}`,
      `    {{run_id}}`,
      `d: >-`,
      `  folded`,
      `  {{run_id}}`,
      `e: 'it''s {{run_id}}'`,
    ].join("\n");
    const text = '"\n#{{x}}';
    expect(spec(yaml, { run_id: text })).toEqual({
      a: `x-${text}-1`,
      b: `say "${text}"\n`,
      c: `first ${text}\n  ${text}\n`,
      d: `folded ${text}`,
      e: `it's ${text}`,
    });
  });

  it("can be a mapping's key, even one with a meaning in JavaScript", () => {
    const rendered = spec("{{run_id}}: 1\nx-{{run_id}}: 2", { run_id: "__proto__" }) as object;
    expect(Object.entries(rendered)).toEqual([
      ["__proto__", 1],
      ["x-__proto__", 2],
    ]);
    expect(Object.getPrototypeOf(rendered)).toBe(Object.prototype);
    expect(JSON.stringify(rendered)).toBe('{"__proto__":1,"x-__proto__":2}');
  });

  it("makes an error of two equal keys", () => {
    expect(() => spec("{{run_id}}: 1\na: 2", { run_id: "a" })).toThrow('test.yaml: a mapping has the key "a" twice: ');
  });

  it.each([undefined, NaN, Infinity, null, {}])("must have a value, which %j is not", value => {
    expect(() => spec("a: {{run_id}}", { run_id: value as unknown as string })).toThrow(
      /^test.yaml:4:6: the value of {{run_id}} is/,
    );
  });

  it("in a YAML comment does nothing, whatever it is", () => {
    expect(spec("a: 1 # {{run_id}} {{braces}}", { run_id: "\nb: 2" })).toEqual({ a: 1 });
  });
});

describe("a section", () => {
  const yaml = `{{#run_id}}\na: {{.}}-{{run_id}}\n{{/run_id}}\n{{^run_id}}\nb: none\n{{/run_id}}\nc: {{#cpu_limit}}x{{/cpu_limit}}z`;

  it("is there when its variable is not empty", () => {
    expect(spec(yaml, { run_id: "r", cpu_limit: 1 })).toEqual({ a: "r-r", c: "xz" });
  });

  it("is not there when its variable is empty", () => {
    expect(spec(yaml, { run_id: "", cpu_limit: 0 })).toEqual({ b: "none", c: "z" });
  });

  it("goes by emptiness alone", () => {
    expect(spec(yaml, { run_id: "false", cpu_limit: "0" })).toEqual({ a: "false-false", c: "xz" });
  });

  it("can hold a section", () => {
    const nested = `{{#run_id}}{{#experiment_id}}\na: 1\n{{/experiment_id}}{{/run_id}}\nb: 2`;
    expect(spec(nested)).toEqual({ a: 1, b: 2 });
    expect(spec(nested, { run_id: "" })).toEqual({ b: 2 });
  });

  it("works with a variable that is never empty as well, should it be", () => {
    expect(spec(`a: 1\n{{^model_name}}\nb: 2\n{{/model_name}}`, { model_name: "" })).toEqual({ a: 1, b: 2 });
  });
});

describe("other YAML", () => {
  it("keeps the types of the core schema", () => {
    const yaml = `a: 1\nb: true\nc: null\nd: 2024-01-01\ne: 1.5\nf: "yes"\ng: 0x10\nh: "1"\ni:\nj: []`;
    expect(spec(yaml)).toEqual({
      a: 1,
      b: true,
      c: null,
      d: "2024-01-01",
      e: 1.5,
      f: "yes",
      g: 16,
      h: "1",
      i: null,
      j: [],
    });
  });

  it("may have anchors, aliases and merge keys", () => {
    expect(spec(`a: &x {v: {{run_id}}}\nb: *x\nc:\n  <<: *x\n  w: 1`)).toEqual({
      a: { v: "0a1b2c" },
      b: { v: "0a1b2c" },
      c: { v: "0a1b2c", w: 1 },
    });
  });

  it("may have other delimiters, mustache comments, a document mark and a byte order mark", () => {
    const template = `\ufeff---\n{{! {{ }}${HEAD}{{=<% %>=}}\nspec: {a: <%run_id%>, b: "{{run_id}}"}\n`;
    expect(compileTemplate(template, "x").render(VALUES).spec).toEqual({ a: "0a1b2c", b: "{{run_id}}" });
  });

  it("is rendered anew each time", () => {
    const template = compileTemplate(`${HEAD}spec: {a: [{{run_id}}]}`, "x");
    expect(template.render(VALUES).spec).not.toBe(template.render(VALUES).spec);
  });
});

describe("metadata", () => {
  const render = (metadata: string, values: Partial<TemplateVariables> = {}) =>
    compileTemplate(`${HEAD}${metadata}\nspec: {}\n`, "x").render({ ...VALUES, ...values }).metadata;

  it.each(["", "metadata:", "metadata: {}", "metadata: {name: , namespace: }", "metadata: {name: '{{name}}'}"])(
    "gets name and namespace when it is %j",
    metadata => {
      expect(render(metadata)).toEqual({ name: "mlflow-iris-v3", namespace: "models" });
    },
  );

  it("keeps the template's labels, annotations and the rest", () => {
    const metadata = `metadata: {labels: {team: "{{model_name}}"}, annotations: {note: {{cpu_limit}}}, finalizers: [a/b]}`;
    expect(render(metadata, { cpu_limit: 1.5 })).toEqual({
      name: "mlflow-iris-v3",
      namespace: "models",
      labels: { team: "iris" },
      annotations: { note: "1.5" },
      finalizers: ["a/b"],
    });
  });

  it("may repeat the identity that the listener gives", () => {
    const labels =
      "{managed-by: mlflow-kserve-webhook-listener, mlflow.model: '{{model_name}}', mlflow.run-id: {{run_id}}}";
    expect(() => render(`metadata: {labels: ${labels}}`)).not.toThrow();
    expect(() => render(`metadata: {labels: ${labels}}\n# {{#run_id}}{{/run_id}}`)).not.toThrow();
  });
});

describe("withIdentity", () => {
  it("adds labels and annotations, which win", () => {
    const object = compileTemplate(`${HEAD}metadata: {labels: {a: "1", b: "2"}}\nspec: {}`, "x").render(VALUES);
    expect(withIdentity(object, { b: "3" }, { c: "4" }).metadata).toEqual({
      name: "mlflow-iris-v3",
      namespace: "models",
      labels: { a: "1", b: "3" },
      annotations: { c: "4" },
    });
    expect(object.metadata.labels).toEqual({ a: "1", b: "2" });
  });

  it("keeps a label called __proto__ a label", () => {
    const object = compileTemplate(`${HEAD}metadata: {labels: {__proto__: x}}\nspec: {}`, "x").render(VALUES);
    expect(JSON.stringify(withIdentity(object, { a: "1" }, {}).metadata.labels)).toBe('{"__proto__":"x","a":"1"}');
  });
});

describe("the variables that a template uses", () => {
  it.each([
    ["a: {{experiment_id}}", true],
    ['"x-{{experiment_id}}": "{{{run_id}}}"', true],
    ["{{#experiment_id}}\na: {{.}}\n{{/experiment_id}}", true],
    ["{{^experiment_id}}\na: 1\n{{/experiment_id}}", true],
    ["{{^run_id}}\na: {{experiment_id}}\n{{/run_id}}", true],
    ["a: {{run_id}} # {{experiment_id}}", false],
    ["a: {{run_id}}{{! {{experiment_id }}", false],
  ])("of %j: experiment_id is %s", (yaml, used) => {
    const template = `${HEAD}spec:\n  z: 1\n${yaml.replace(/^(?!{{)/gm, "  ")}\n`;
    expect(compileTemplate(template, "test.yaml").uses("experiment_id")).toBe(used);
  });
});
