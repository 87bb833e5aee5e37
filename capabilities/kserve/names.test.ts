import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cleanModelName, modelName, versionNumber } from "../../test/arbitraries";
import { differentModelsHaveDifferentNames, nameIsValid } from "../../test/fuzz/properties/names";
import {
  inferenceServiceName,
  InferenceServiceNameError,
  MAXIMUM_NAMESPACE_LENGTH,
  maximumNameLength,
  namespaceProblem,
} from "./names";

const NAMESPACE = "kserve-mlflow-models";

function name(model: string, version = "1", space = "default"): string {
  return inferenceServiceName({ model, version }, space);
}

describe("inferenceServiceName", () => {
  it.each([
    ["iris", "mlflow-iris-v1"],
    ["foo-bar", "mlflow-foo-bar-v1"],
    ["foo--bar", "mlflow-foo--bar-v1"],
    ["0", "mlflow-0-v1"],
    ["a-v1", "mlflow-a-v1-v1"],
    ["a".repeat(33), `mlflow-${"a".repeat(33)}-v1`],
  ])("leaves the clean name %j plain", (model, expected) => {
    expect(name(model)).toBe(expected);
  });

  it.each([
    "Foo_Bar",
    "foo bar",
    "foo.bar",
    "-foo-bar",
    "foo-bar-",
    "模型",
    "\ud800",
    "a".repeat(34),
    "x".repeat(200),
    "foo-bar-0123456789",
    "0123456789",
    "deadbeef00",
  ])("gives %j a hash", model => {
    expect(name(model)).toMatch(/^mlflow-([-a-z0-9]*[a-z0-9]-)?[0-9a-f]{10}-v1$/);
  });

  // Renaming makes the listener lose sight of the services that run, so these may not change.
  it.each([
    ["Foo_Bar", "3", "default", "mlflow-foo-bar-6ec770be87-v3"],
    ["模型", "12", "default", "mlflow-3a0b6fd496-v12"],
    ["x".repeat(200), "7", "default", `mlflow-${"x".repeat(22)}-1b81f79141-v7`],
  ])("names %j version %s in %s for all time %s", (model, version, space, expected) => {
    expect(name(model, version, space)).toBe(expected);
  });

  it("keeps the remains of a shortened name free of dashes at the cut", () => {
    const cut = `${"a".repeat(21)}-${"b".repeat(30)}`;
    expect(name(cut)).toMatch(/^mlflow-a{21}-[0-9a-f]{10}-v1$/);
  });

  it.each(["0", "01", "-1", "1.0", "", " 1", "1\n", "99999999999", "1-v2", "latest"])(
    "refuses the version %j",
    version => {
      expect(() => name("iris", version)).toThrow(InferenceServiceNameError);
    },
  );

  it("serves a clean short name in a long namespace, and says what to do about the others", () => {
    const space = "n".repeat(39);
    expect(name("a", "1", space)).toBe("mlflow-a-v1");
    expect(() => name("iris", "1", space)).toThrow(
      `"iris" version 1 cannot be served: the namespace "${space}" has 39 characters, and KServe joins it with the ` +
        "service's name into one DNS label of at most 63; use a namespace of at most 27 characters",
    );
  });

  it(nameIsValid.name, () => nameIsValid.assert({ numRuns: 500 }));

  it(differentModelsHaveDifferentNames.name, () => differentModelsHaveDifferentNames.assert({ numRuns: 3000 }));

  it("keeps a clean name from looking like another model's hashed name", () => {
    fc.assert(
      fc.property(modelName(), versionNumber(), (model, version) => {
        const result = name(model, version);
        const pretender = result.slice("mlflow-".length, -`-v${version}`.length);
        fc.pre(pretender !== model);
        expect(name(pretender, version)).not.toBe(result);
      }),
      { numRuns: 2000 },
    );
  });

  it("has no two equal names among ten thousand spellings", () => {
    const models = new Set(fc.sample(modelName(), { numRuns: 10_000, seed: 1 }));
    expect(new Set([...models].map(model => name(model, "1", NAMESPACE))).size).toBe(models.size);
  });

  it("leaves clean names plain wherever they fit", () => {
    fc.assert(
      fc.property(cleanModelName(), version => {
        fc.pre(!/(^|-)[0-9a-f]{10}$/.test(version));
        expect(name(version)).toBe(`mlflow-${version}-v1`);
      }),
    );
  });
});

describe("maximumNameLength", () => {
  it.each([
    ["", 45],
    ["12345", 45],
    ["default", 43],
    [NAMESPACE, 30],
    ["n".repeat(63), -13],
  ])("in namespace %j is %d", (space, expected) => {
    expect(maximumNameLength(space)).toBe(expected);
  });
});

describe("namespaceProblem", () => {
  it("accepts a namespace in which version 9999 of any model has a name", () => {
    const longest = "n".repeat(MAXIMUM_NAMESPACE_LENGTH);
    expect(namespaceProblem(longest)).toBeUndefined();
    expect(name("模型", "9999", longest)).toHaveLength(maximumNameLength(longest));
    expect(() => name("模型", "9999", `${longest}n`)).toThrow(InferenceServiceNameError);
  });

  it("names cause and cure for a longer one", () => {
    expect(namespaceProblem("n".repeat(28))).toMatch(/28 characters.*use a namespace of at most 27 characters$/);
  });
});
