import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as properties from "../../test/fuzz/properties/rendering";
import { compileTemplate, type TemplateVariables } from "./rendering";

const { templateVariables, templateWith } = properties;

describe("rendering", () => {
  for (const [property, numRuns] of [
    [properties.valueIsItself, 1000],
    [properties.numberStaysOne, 100],
    [properties.yamlOfItIsTheSame, 200],
    [properties.identityIsAdded, 300],
    [properties.templateRendersOrIsRefused, 1000],
    [properties.onlyOurVariablesAreKnown, 200],
  ] as const) {
    it(property.name, () => property.assert({ numRuns }));
  }

  it("never changes the prototype of anything", () => {
    const rendered = compileTemplate(templateWith("{{run_id}}: { {{run_id}}: {polluted: true}}"), "x");
    for (const run_id of ["__proto__", "constructor", "prototype"]) {
      const values = { ...fc.sample(templateVariables(), 1)[0], run_id } as TemplateVariables;
      const { spec } = rendered.render(values);
      expect(Object.keys(spec)).toEqual([run_id]);
      expect(Object.getPrototypeOf(spec)).toBe(Object.prototype);
      expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    }
  });
});
