import { describe, expect, it } from "vitest";
import { compileTemplate, TemplateError } from "./rendering";

const HEAD = "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\n";

function problemsOf(template: string): string[] {
  try {
    compileTemplate(template, "test.yaml");
  } catch (error) {
    if (error instanceof TemplateError) return error.message.split("\n");
    throw error;
  }
  return [];
}

describe("a broken template", () => {
  it.each<[string, string, string[]]>([
    [
      "an unknown variable",
      `${HEAD}spec:\n  a: {{storge_uri}}\n`,
      ["test.yaml:4:6: {{storge_uri}} is no variable: write {{storage_uri}} if that is meant"],
    ],
    [
      "several",
      `${HEAD}spec:\n  a: {{ModelName}}\n  b: {{modle_nam}}\n  c: {{#foo}}{{/foo}}\n`,
      [
        "test.yaml:4:6: {{ModelName}} is no variable: write {{model_name}} if that is meant",
        "test.yaml:5:6: {{modle_nam}} is no variable: write {{model_name}} if that is meant",
        expect.stringMatching(
          /^test.yaml:6:6: {{foo}} is no variable: write one of name, namespace, model_name, /,
        ) as string,
      ],
    ],
    [
      "a dotted name",
      `${HEAD}spec: {a: {{model.name}}}`,
      ["test.yaml:3:11: {{model.name}} is no variable: write {{model_name}} if that is meant"],
    ],
    [
      "a dot outside of a section",
      `${HEAD}spec: {a: {{.}}}`,
      [expect.stringContaining("{{.}} is no variable") as string],
    ],
    [
      "an unknown variable beside broken YAML",
      `${HEAD}spec: [\n  {{foo}}`,
      [
        expect.stringContaining("this is no valid YAML") as string,
        expect.stringContaining("test.yaml:4:3: {{foo}} is no variable") as string,
      ],
    ],
    [
      "a partial",
      `${HEAD}spec: {}\n{{> other}}\n`,
      ["test.yaml:4:1: {{>other}} includes another template, and there is only this one: write its text here"],
    ],
    [
      "a section left open",
      `${HEAD}{{#run_id}}\nspec: {}\n`,
      ["test.yaml:3:3: the section run_id is not closed: write {{/run_id}} where it ends"],
    ],
    [
      "a section closed twice",
      `${HEAD}spec: {}\n{{/run_id}}\n`,
      ["test.yaml:4:1: {{/run_id}} closes no section: remove it, or open one with {{#run_id}}"],
    ],
    [
      "sections that cross",
      `${HEAD}{{#run_id}}{{#cpu_limit}}{{/run_id}}{{/cpu_limit}}`,
      ["test.yaml:3:14: the section cpu_limit is not closed: write {{/cpu_limit}} where it ends"],
    ],
    [
      "a tag left open",
      `${HEAD}spec:\n  a: {{run_id\n`,
      ["test.yaml:4:6: a {{ has no }}: close the tag, like {{name}}"],
    ],
    [
      "a tag closed by another",
      `${HEAD}spec:\n  a: {{run_id\n  b: {{run_id}}`,
      ["test.yaml:4:6: a {{ has no }} of its own: close the tag, like {{name}}"],
    ],
    [
      "invalid YAML after removed lines",
      `${HEAD}{{! one }}\n{{#run_id}}\n{{/run_id}}\nspec:\n  a: {{run_id}}\n b: 1\n`,
      [expect.stringMatching(/^test.yaml:8:2: this is no valid YAML/) as string],
    ],
    ["half an escape", `${HEAD}spec: {a: "\\{{run_id}}"}`, [expect.stringContaining("no valid YAML") as string]],
    [
      "a variable as an alias",
      `${HEAD}spec: *{{run_id}}`,
      [expect.stringContaining('(unidentified alias "{{run_id}}")') as string],
    ],
    [
      "two documents",
      `${HEAD}spec: {}\n---\nkind: Pod\n`,
      [
        "test.yaml: the template holds 2 YAML documents: keep one, the InferenceService, and remove the lines that hold only ---",
      ],
    ],
    [
      "no document",
      "# nothing\n",
      ["test.yaml: the template is empty: write an InferenceService, or leave the setting out"],
    ],
    ["no text", "", [expect.stringContaining("the template is empty") as string]],
    ["a list", "- a\n", [expect.stringContaining("the template is not a YAML mapping") as string]],
    ["a variable alone", "{{name}}", [expect.stringContaining("the template is not a YAML mapping") as string]],
    [
      "another kind",
      "apiVersion: v1\nkind: Pod\nspec: {{run_id}}\n",
      [
        'test.yaml: apiVersion is "v1": write apiVersion: serving.kserve.io/v1beta1',
        'test.yaml: kind is "Pod": write kind: InferenceService',
        'test.yaml: spec is "{{run_id}}": write a mapping with the predictor under spec:',
      ],
    ],
    ["no spec", HEAD, ["test.yaml: spec is missing: write a mapping with the predictor under spec:"]],
    [
      "a name of its own",
      `${HEAD}metadata: {name: "{{model_name}}-x", namespace: other}\nspec: {}`,
      [
        'test.yaml: metadata.name is "{{model_name}}-x": write {{name}}, or leave it out: the listener finds its services by name',
        'test.yaml: metadata.namespace is "other": write {{namespace}}, or leave it out: the listener finds its services by name',
      ],
    ],
    [
      "metadata that is none",
      `${HEAD}metadata: a\nspec: {}`,
      ['test.yaml: metadata is "a": write a mapping, or leave it out'],
    ],
    [
      "labels that are no texts",
      `${HEAD}metadata: {labels: {a: 1, b: true}, annotations: [a]}\nspec: {}`,
      [
        'test.yaml: metadata.labels["a"] is 1: put the value in quotes',
        'test.yaml: metadata.labels["b"] is true: put the value in quotes',
        'test.yaml: metadata.annotations is ["a"]: write a mapping of texts, or leave it out',
      ],
    ],
    [
      "an identity of its own",
      `${HEAD}metadata: {labels: {managed-by: me}, annotations: {mlflow.model: x}}\nspec: {}`,
      [
        'test.yaml: metadata.labels["managed-by"] is "me": remove it: the listener writes it, to know its services again',
        'test.yaml: metadata.annotations["mlflow.model"] is "x": remove it: the listener writes it, to know its services again',
      ],
    ],
    ["equal keys", `${HEAD}spec: {a: 1, a: 2}`, [expect.stringContaining("(duplicated mapping key)") as string]],
    [
      "equal variable keys",
      `${HEAD}spec: { {{run_id}}: 1, {{run_id}}: 2}`,
      [
        'test.yaml: a mapping has the key "{{run_id}}" twice: give the keys of a mapping values that are always different',
      ],
    ],
    [
      "keys that are no texts",
      `${HEAD}spec: {1: a, { {{run_id}} }: b, ? [c] : d}`,
      [expect.stringContaining("test.yaml: spec has a key that is no text: put the key in quotes") as string],
    ],
    [
      "a number that JSON does not have",
      `${HEAD}spec: {a: [.nan]}`,
      ["test.yaml: spec.a[0] has a value that JSON cannot hold: write a number"],
    ],
    ["a tag of another schema", `${HEAD}spec: !!binary aGk=`, [expect.stringContaining("no valid YAML") as string]],
    ["an alias of itself", `${HEAD}spec: &x {a: *x}`, [expect.stringContaining("remove YAML aliases") as string]],
    [
      "aliases without end",
      `${HEAD}spec: &x [${"*x,".repeat(20)}]`,
      [expect.stringContaining("remove YAML aliases") as string],
    ],
  ])("is refused for %s", (_, template, problems) => {
    expect(problemsOf(template)).toEqual(problems);
  });

  it("has its problems as data, too", () => {
    expect(() => compileTemplate(`${HEAD}spec: {a: {{foo}}}`, "x")).toThrow(
      expect.objectContaining({
        name: "TemplateError",
        problems: [expect.objectContaining({ line: 3, column: 11, cause: "{{foo}} is no variable" })],
      }),
    );
  });
});

describe("a section", () => {
  it("whose YAML is broken in one case only is found at once", () => {
    expect(problemsOf(`${HEAD}spec:\n  a: 1\n{{^run_id}}\n b: 2\n{{/run_id}}\n`)).toEqual([
      expect.stringMatching(/^test.yaml:6:2: this is no valid YAML \(.*\): correct it here or in the line above/),
    ]);
  });

  it("in all variables that can be empty is tried out in all combinations", () => {
    const optional = ["run_id", "experiment_id", "cpu_request", "cpu_limit", "memory_request", "memory_limit"];
    const open = optional.map(variable => `{{^${variable}}}`).join("");
    const close = optional
      .map(variable => `{{/${variable}}}`)
      .reverse()
      .join("");
    expect(problemsOf(`${HEAD}spec: {}\n${open}kind: Pod${close}\n`)).toHaveLength(1);
  });
});
