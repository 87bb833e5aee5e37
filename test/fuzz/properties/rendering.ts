import assert from "node:assert/strict";
import fc from "fast-check";
import { CORE_SCHEMA, dump, load } from "js-yaml";
import { identityAnnotations, identityLabels, labelValue } from "../../../capabilities/kserve/identity";
import { inferenceServiceName } from "../../../capabilities/kserve/names";
import {
  compileTemplate,
  TEMPLATE_VARIABLES,
  TemplateError,
  withIdentity,
  type CompiledTemplate,
  type JsonValue,
  type TemplateVariables,
} from "../../../capabilities/template/rendering";
import { hostileText, modelName, namespace, versionNumber } from "../../arbitraries";
import { fuzzProperty } from "../fuzz-property";

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
  { name: "key", yaml: "at:\n  {{x}}: {{x}}", expected: value => Object.fromEntries([[value, value]]) },
  { name: "quoted key", yaml: 'at: {"{{x}}": 1}', expected: value => Object.fromEntries([[value, 1]]) },
  { name: "part of a key", yaml: "at: {a-{{x}}: 1}", expected: value => Object.fromEntries([[`a-${value}`, 1]]) },
  { name: "around a section", yaml: "at: {{#x}}{{x}}{{/x}}{{^x}}{{x}}none{{/x}}", expected: value => value || "none" },
];

/** A template that has this YAML as its spec. */
export function templateWith(spec: string): string {
  return `apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nspec:\n${spec.replace(/^/gm, "  ")}\n`;
}

/** Hostile values for all variables; name, namespace and version are as the module makes them. */
export function templateVariables(): fc.Arbitrary<TemplateVariables> {
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
        model_label: labelValue(model),
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

const compiled = PLACES.flatMap(place =>
  (["model_name", "storage_uri", "run_id"] as const).map(variable => ({
    place,
    variable,
    template: compileTemplate(templateWith(place.yaml.replace(/\bx\b/g, variable)), place.name),
  })),
);

export const valueIsItself = fuzzProperty(
  "a rendered value is the value, and nothing else changes, wherever the template puts it and whatever it holds",
  templateVariables(),
  values => {
    for (const { place, variable, template } of compiled) {
      const rendered = template.render(values);
      const expected = { at: place.expected(String(values[variable])) };
      // As JSON, in which it is sent: `__proto__` is a key there as any other.
      const [is, shouldBe] = [rendered.spec, expected].map(spec => `${place.name}: ${JSON.stringify(spec)}`);
      assert.equal(is, shouldBe);
      assert.equal(Object.keys(rendered).join(), "apiVersion,kind,metadata,spec");
    }
  },
);

const numbers = compileTemplate(templateWith('a: {{cpu_limit}}\nb: "{{cpu_limit}}"'), "numbers");

export const numberStaysOne = fuzzProperty(
  "a value that is a number stays one",
  fc.tuple(templateVariables(), fc.double({ noNaN: true, noDefaultInfinity: true })),
  ([values, number]) => {
    assert.deepEqual(numbers.render({ ...values, cpu_limit: number }).spec, { a: number, b: String(number) });
  },
);

const mixed = compileTemplate(templateWith("at: {{run_id}}\nand: ['{{storage_uri}}', x{{model_name}}]"), "mixed");

export const yamlOfItIsTheSame = fuzzProperty(
  "a rendered object comes back unchanged from YAML that is written from it",
  // What no YAML can hold, lone surrogates, no YAML writer can keep.
  templateVariables().filter(values => !/\p{Surrogate}/u.test(Object.values(values).join(" "))),
  values => {
    const object = mixed.render(values);
    assert.deepEqual(load(dump(object), { schema: CORE_SCHEMA }), object);
  },
);

const annotated = compileTemplate(
  `${templateWith("at: {{run_id}}")}metadata: {annotations: {run: {{run_id}}}}`,
  "annotated",
);

export const identityIsAdded = fuzzProperty(
  "a rendered object has the identity labels and annotations next to the template's, and can be sent as JSON",
  templateVariables(),
  values => {
    const identity = {
      model: String(values.model_name),
      version: String(values.model_version),
      runId: String(values.run_id),
    };
    const object = withIdentity(annotated.render(values), identityLabels(identity), identityAnnotations(identity));
    assert.equal(object.metadata.name, values.name);
    assert.equal(object.metadata.namespace, values.namespace);
    assert.deepEqual(object.metadata.labels, identityLabels(identity));
    assert.deepEqual(object.metadata.annotations, { run: values.run_id, ...identityAnnotations(identity) });
    assert.deepEqual(JSON.parse(JSON.stringify(object)), object);
  },
);

/** Pieces of templates: YAML's and mustache's syntax, and the fields that an attacker would like to set. */
const PIECES = [
  ...[
    "{{run_id}}",
    "{{#run_id}}",
    "{{/run_id}}",
    "{{^run_id}}",
    "{{.}}",
    "{{name}}",
    "{{namespace}}",
    "{{{model_name}}}",
  ],
  ...[
    "\n",
    "\n  ",
    "\n    ",
    "\n- ",
    ": ",
    "- ",
    "&a ",
    "*a",
    "<<: *a",
    "!!binary ",
    "? ",
    "|\n",
    ">-\n",
    "# ",
    "---\n",
  ],
  ...["metadata:\n", "name: x", "namespace: kube-system", "labels: {", "annotations: {", "managed-by: other", "}", "["],
  ...["kind: Pod", "kind: List\nitems:\n- ", "__proto__: {x: 1}", "constructor: ", "uid: x", "generateName: y", ","],
  ...["mlflow.model: x", "ownerReferences: []", "finalizers: [a/b]", "status: {}", "deletionTimestamp: now", '"', "'"],
];

/** A spec that KServe takes, for templates that are hostile elsewhere. */
const PREDICTOR = "predictor: {model: {modelFormat: {name: mlflow}, storageUri: {{storage_uri}}}}";

/** Texts that a template setting could hold: pieces of YAML and mustache put together, often in the right place. */
export function templateText(): fc.Arbitrary<string> {
  const piece = fc.oneof({ weight: 1, arbitrary: hostileText() }, { weight: 3, arbitrary: fc.constantFrom(...PIECES) });
  const text = fc.array(piece, { maxLength: 8 }).map(pieces => pieces.join(""));
  return fc.oneof(
    { weight: 3, arbitrary: text.map(spec => templateWith(`${PREDICTOR}\na: ${spec}`)) },
    { weight: 3, arbitrary: text.map(end => `${templateWith(PREDICTOR)}${end}`) },
    { weight: 3, arbitrary: text.map(metadata => `${templateWith(PREDICTOR)}metadata:\n  ${metadata}`) },
    { weight: 1, arbitrary: text },
  );
}

/** The template, or undefined when it was refused as it should be. @throws when it was refused in another way */
export function compiledOrRefused(text: string): CompiledTemplate | undefined {
  try {
    return compileTemplate(text, "x");
  } catch (error) {
    assert.ok(error instanceof TemplateError, String(error));
    assert.ok(error.problems.length > 0);
    assert.doesNotMatch(error.message, /w[0-9a-f]{32}x/);
    return undefined;
  }
}

export const templateRendersOrIsRefused = fuzzProperty(
  "any template is refused with its problems, or renders one InferenceService of our name and namespace",
  fc.tuple(templateVariables(), templateText()),
  ([values, text]) => {
    const template = compiledOrRefused(text);
    let object;
    try {
      object = template?.render(values);
    } catch (error) {
      // Keys of a mapping can become equal by their values.
      assert.ok(error instanceof TemplateError && error.message.includes("twice"), String(error));
    }
    if (object === undefined) return;
    const { apiVersion, kind, metadata, spec } = object;
    assert.deepEqual([apiVersion, kind], ["serving.kserve.io/v1beta1", "InferenceService"]);
    assert.deepEqual([metadata.name, metadata.namespace], [values.name, values.namespace]);
    assert.ok(typeof spec === "object" && !Array.isArray(spec));
    assert.doesNotMatch(JSON.stringify(object), /w[0-9a-f]{32}x/);
    assert.equal(Object.getPrototypeOf(object), Object.prototype);
    assert.equal(({} as Record<string, unknown>).x, undefined);
  },
);

/** The properties above try hostile values only where a variable may be; this one is about the variables' names. */
export const onlyOurVariablesAreKnown = fuzzProperty(
  "a tag that names none of our variables is refused",
  hostileText().filter(
    text => /^[^\s{}#^/!>&=.][^\s{}]*$/u.test(text) && !TEMPLATE_VARIABLES.some(known => known === text),
  ),
  variable => {
    assert.equal(compiledOrRefused(templateWith(`a: "{{${variable}}}"`)), undefined);
  },
);
