import fc from "fast-check";
import { CORE_SCHEMA, dump, load } from "js-yaml";
import { describe, expect, it } from "vitest";
import { hostileText, modelName, namespace, versionNumber } from "../../test/arbitraries";
import { identityAnnotations, identityLabels } from "./identity";
import { inferenceServiceName } from "./names";
import { compileTemplate, withIdentity, type JsonValue, type TemplateVariables } from "./rendering";

/** Every way a template can write a variable, and what must be there for its value. */
const PLACES: readonly { name: string; yaml: string; expected: (value: string) => JsonValue }[] = [
  { name: "plain", yaml: "at: {{x}}", expected: value => value },
  { name: "plain, spaces in the tag", yaml: "at: {{ x }}", expected: value => value },
  { name: "plain, three braces", yaml: "at: {{{x}}}", expected: value => value },
  { name: "plain, ampersand", yaml: "at: {{&x}}", expected: value => value },
  { name: "plain, before a comment", yaml: "at: {{x}} # {{x}}", expected: value => value },
  { name: "double quotes", yaml: 'at: "{{x}}"', expected: value => value },
  { name: "double quotes, three braces", yaml: 'at: "{{{x}}}"', expected: value => value },
  { name: "single quotes", yaml: "at: '{{x}}'", expected: value => value },
  { name: "tagged", yaml: "at: !!str {{x}}", expected: value => value },
  { name: "literal block", yaml: "at: |-\n  {{x}}", expected: value => value },
  {
    name: "literal block with text around",
    yaml: "at: |\n  a\n   b {{{x}}} c\n",
    expected: value => `a\n b ${value} c\n`,
  },
  { name: "folded block", yaml: "at: >-\n  a\n  {{x}}\n  b", expected: value => `a ${value} b` },
  { name: "plain over two lines", yaml: "at: a\n  {{x}}", expected: value => `a ${value}` },
  { name: "inside a plain text", yaml: "at: a{{x}}-{{{x}}}", expected: value => `a${value}-${value}` },
  { name: "inside double quotes", yaml: 'at: "\\"{{x}}\\u00e9\\n"', expected: value => `"${value}é\n` },
  { name: "inside single quotes", yaml: "at: 'it''s {{x}}'", expected: value => `it's ${value}` },
  { name: "flow mapping", yaml: "at: {a: {{x}}, b: {{{x}}}}", expected: value => ({ a: value, b: value }) },
  { name: "flow sequence", yaml: "at: [{{x}}, '{{x}}']", expected: value => [value, value] },
  { name: "block sequence", yaml: "at:\n  - {{x}}\n  - - {{x}}", expected: value => [value, [value]] },
  { name: "alias", yaml: "at: [&a {{x}}, *a]", expected: value => [value, value] },
  { name: "key", yaml: "at:\n  {{x}}: {{x}}", expected: value => object([[value, value]]) },
  { name: "quoted key", yaml: 'at: {"{{x}}": 1}', expected: value => object([[value, 1]]) },
  { name: "part of a key", yaml: "at: {a-{{x}}: 1}", expected: value => object([[`a-${value}`, 1]]) },
  { name: "around a section", yaml: "at: {{#x}}{{x}}{{/x}}{{^x}}{{x}}none{{/x}}", expected: value => value || "none" },
];

const VARIABLES = ["model_name", "storage_uri", "run_id"] as const;

function object(entries: [string, JsonValue][]): JsonValue {
  return Object.fromEntries(entries);
}

function template(yaml: string): string {
  return `apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nspec:\n${yaml.replace(/^/gm, "  ")}\n`;
}

function variables(): fc.Arbitrary<TemplateVariables> {
  const text = hostileText();
  return fc
    .tuple(modelName(), versionNumber(), namespace(), fc.array(text, { minLength: 7, maxLength: 7 }))
    .map(
      ([
        model,
        version,
        space,
        [uri = "", run = "", experiment = "", cpu = "", cpuLimit = "", memory = "", limit = ""],
      ]) => ({
        name: inferenceServiceName({ model, version }, space),
        namespace: space,
        model_name: model,
        model_version: version,
        storage_uri: uri,
        run_id: run,
        experiment_id: experiment,
        cpu_request: cpu,
        cpu_limit: cpuLimit,
        memory_request: memory,
        memory_limit: limit,
      }),
    );
}

describe("a rendered value", () => {
  const compiled = PLACES.flatMap(place =>
    VARIABLES.map(variable => ({
      place,
      variable,
      template: compileTemplate(template(place.yaml.replace(/\bx\b/g, variable)), place.name),
    })),
  );

  it("is the value, and nothing else changes, wherever the template puts it and whatever it holds", () => {
    fc.assert(
      fc.property(variables(), values => {
        for (const { place, variable, template } of compiled) {
          const rendered = template.render(values);
          const value = String(values[variable]);
          const expected = { at: place.expected(value) };
          // As JSON, in which it is sent: `__proto__` is a key there as any other.
          const [is, shouldBe] = [rendered.spec, expected].map(spec => `${place.name}: ${JSON.stringify(spec)}`);
          if (is !== shouldBe) expect(is).toBe(shouldBe);
          if (Object.keys(rendered).join() !== "apiVersion,kind,metadata,spec") expect(rendered).toBe(place.name);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it("stays a number if it is one", () => {
    fc.assert(
      fc.property(variables(), fc.double({ noNaN: true, noDefaultInfinity: true }), (values, number) => {
        const rendered = compileTemplate(template('a: {{cpu_limit}}\nb: "{{cpu_limit}}"'), "x");
        expect(rendered.render({ ...values, cpu_limit: number }).spec).toEqual({ a: number, b: String(number) });
      }),
      { numRuns: 100 },
    );
  });

  it("never changes the prototype of anything", () => {
    const rendered = compileTemplate(template("{{run_id}}: { {{run_id}}: {polluted: true}}"), "x");
    for (const run_id of ["__proto__", "constructor", "prototype"]) {
      const values = { ...fc.sample(variables(), 1)[0], run_id } as TemplateVariables;
      const { spec } = rendered.render(values);
      expect(Object.keys(spec)).toEqual([run_id]);
      expect(Object.getPrototypeOf(spec)).toBe(Object.prototype);
      expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    }
  });

  it("comes back unchanged from YAML that is written from the object", () => {
    const rendered = compileTemplate(template("at: {{run_id}}\nand: ['{{storage_uri}}', x{{model_name}}]"), "x");
    // What no YAML can hold, lone surrogates, no YAML writer can keep.
    const writable = variables().filter(values => !/\p{Surrogate}/u.test(Object.values(values).join(" ")));
    fc.assert(
      fc.property(writable, values => {
        const object = rendered.render(values);
        expect(load(dump(object), { schema: CORE_SCHEMA })).toEqual(object);
      }),
      { numRuns: 200 },
    );
  });
});

describe("a rendered InferenceService", () => {
  it("has the identity labels and annotations next to the template's, and can be sent as JSON", () => {
    const rendered = compileTemplate(`${template("at: {{run_id}}")}metadata: {annotations: {run: {{run_id}}}}`, "x");
    fc.assert(
      fc.property(variables(), values => {
        const identity = {
          model: String(values.model_name),
          version: String(values.model_version),
          runId: String(values.run_id),
        };
        const object = withIdentity(rendered.render(values), identityLabels(identity), identityAnnotations(identity));
        expect(object.metadata.name).toBe(values.name);
        expect(object.metadata.namespace).toBe(values.namespace);
        expect(object.metadata.labels).toEqual(identityLabels(identity));
        expect(object.metadata.annotations).toEqual({ run: values.run_id, ...identityAnnotations(identity) });
        expect(JSON.parse(JSON.stringify(object))).toEqual(object);
      }),
      { numRuns: 300 },
    );
  });
});

describe("compileTemplate", () => {
  it("answers any text with a TemplateError or a template that renders", () => {
    const piece = fc.oneof(
      hostileText(),
      fc.constantFrom("{{run_id}}", "{{#run_id}}", "{{/run_id}}", "\n  ", ": ", "- "),
    );
    fc.assert(
      fc.property(variables(), fc.array(piece, { maxLength: 6 }), (values, pieces) => {
        let compiled;
        try {
          compiled = compileTemplate(template(`a: ${pieces.join("")}`), "x");
        } catch (error) {
          expect(error).toHaveProperty("name", "TemplateError");
          expect((error as Error).message).not.toMatch(/w[0-9a-f]{32}x/);
          return;
        }
        expect(JSON.stringify(compiled.render(values))).not.toMatch(/w[0-9a-f]{32}x/);
      }),
      { numRuns: 500 },
    );
  });
});
