import { load } from "js-yaml";
import { describe, expect, it } from "vitest";
import { thrownBy } from "../../test/support/unit/outcomes";
import { SCALARS_WITHOUT_JSON, YAML_SCALARS } from "../../test/support/yaml-scalars";
import { compileTemplate, type TemplateVariables } from "./rendering";

const KUBECTL = "kubectl, which reads YAML 1.1,";

/** The spec with this YAML in it, as JSON, in which it is sent. */
function specOf(yaml: string): string {
  const template = `apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nspec:${yaml}`;
  const values = { name: "iris", namespace: "models" } as TemplateVariables;
  return JSON.stringify(compileTemplate(template, "test.yaml").render(values).spec);
}

const problemOf = (yaml: string): string => thrownBy(() => specOf(yaml)).message;

describe("a plain scalar", () => {
  it.each(YAML_SCALARS)("%s is what kubectl reads, %s, or refused", (source, json) => {
    const core = JSON.stringify(load(source));
    if (core === json.replace(/^-0$/, "0")) expect(specOf(` {a: ${source}}\n`)).toBe(`{"a":${core}}`);
    else
      expect(problemOf(` {a: ${source}}\n`)).toContain(`test.yaml:3:11: ${KUBECTL} takes ${source} for ${json}, and `);
  });

  it.each(SCALARS_WITHOUT_JSON)("%s is refused by both", source => {
    expect(problemOf(` {a: ${source}}\n`)).toContain("has a value that JSON cannot hold");
  });

  it.each([
    [
      "{a: 0400}",
      "3:11",
      "takes 0400 for 256, and YAML 1.2 takes it for 400",
      'write 256, or "0400" in quotes if the text is meant',
    ],
    [
      "{a: yes}",
      "3:11",
      'takes yes for true, and YAML 1.2 takes it for "yes"',
      'write true, or "yes" in quotes if the text is meant',
    ],
    [
      "{a: !!int '0400'}",
      "3:11",
      'takes !!int "0400" for 256, and YAML 1.2 takes it for 400',
      'write 256, or "0400" in quotes if the text is meant',
    ],
    [
      "{a: 9007199254740993}",
      "3:11",
      "takes 9007199254740993 for 9007199254740993, and YAML 1.2 takes it for 9007199254740992",
      'write "9007199254740993" in quotes',
    ],
    ["\n  on: [push]", "4:3", 'takes the key on for true, and YAML 1.2 takes it for "on"', 'write "on" in quotes'],
    [
      "\n  - a\n  - b: {c: 1,\n      1_0: d}",
      "6:7",
      'takes the key 1_0 for 10, and YAML 1.2 takes it for "1_0"',
      'write "1_0" in quotes',
    ],
    [
      "\n  a: &x 010\n  b: *x",
      "4:9",
      "takes 010 for 8, and YAML 1.2 takes it for 10",
      'write 8, or "010" in quotes if the text is meant',
    ],
  ])("in %j has its place, cause and cure", (yaml, place, cause, cure) => {
    expect(problemOf(` ${yaml}\n`)).toBe(`test.yaml:${place}: ${KUBECTL} ${cause}: ${cure}`);
  });

  it("is a text with quotes, with !!str, in a block, or with a variable in it, for both", () => {
    const yaml = ` {a: [yes, '0400', !!str on, ! n, 0{{name}}, {"off": "1_0"}]}\n`;
    expect(problemOf(yaml)).toContain("takes yes for");
    expect(specOf(yaml.replace("yes", '"yes"'))).toBe('{"a":["yes","0400","on","n","0iris",{"off":"1_0"}]}');
    expect(specOf("\n  a: |-\n    0400\n")).toBe('{"a":"0400"}');
  });
});

describe("other YAML", () => {
  it.each([
    ["\n  a: &x {b: 1}\n  c: {b: 2, <<: *x}\n", "5:13", "replaces the keys that stand before << in its mapping"],
    ["\n  a: &x {b: 1}\n  c: {<<: *x, <<: *x}\n", "5:15", "replaces the keys that stand before << in its mapping"],
    [" {a: {b:}, c: [d:[e]]}\n", "3:13", "takes this colon for a part of the text before it"],
    [" {a: 1} # \u2028b: c\n", "3:16", "takes the character U+2028 for the end of a line"],
    [" {a: 'b\u0085c'}\n", "3:13", "takes the character U+0085 for the end of a line"],
    ["\n  a: |\n    b", "5:1", "gives this text no line feed at its end"],
  ])("%j is refused where kubectl reads it otherwise", (yaml, place, cause) => {
    expect(problemOf(yaml)).toContain(`test.yaml:${place}: ${KUBECTL} ${cause}, and YAML 1.2 does`);
  });

  it("passes where kubectl reads the same", () => {
    expect(specOf("\n  a: &x {b: 1}\n  c: {<<: *x, b: 2}\n  d: {b:1, e: '<<'}\n")).toBe(
      '{"a":{"b":1},"c":{"b":2},"d":{"b:1":null,"e":"<<"}}',
    );
    expect(specOf("\n  a: |-\n    b")).toBe('{"a":"b"}');
    expect(specOf("\n  a: |\n    b\n")).toBe('{"a":"b\\n"}');
    expect(specOf('\n  a: "\\u2028"\n')).toBe('{"a":"\u2028"}');
  });
});
