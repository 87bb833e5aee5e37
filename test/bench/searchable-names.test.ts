import { randomUUID } from "node:crypto";
import { expect, inject, it } from "vitest";
import { createMlflowReader, isSearchableName } from "../../capabilities/mlflow/client";
import { createMlflowTransport } from "../../capabilities/mlflow/transport";
import { formatKey } from "../../capabilities/support/model-version-key";
import { openRegistry } from "../support/mlflow-registry";

// MLflow parses the filter as SQL and the list in it as Python: names that could be taken for a part of either.
const NAMES = [
  "x AND y",
  "a -- b",
  "NULL",
  "1",
  "0x1F",
  "1_000",
  "None",
  "select",
  ".",
  "été",
  "模型",
  "v1.0-rc_2",
  "IN",
];

it("finds in one search of the real MLflow exactly the versions of the models that are named", async () => {
  const trackingUri = inject("mlflowTrackingUri");
  const [registry, tag] = [openRegistry(trackingUri), `deploy-${randomUUID().slice(0, 8)}`];
  const reader = createMlflowReader(createMlflowTransport({ trackingUri, deadline: 30_000 }));
  const unique = randomUUID().slice(0, 8);
  const models = NAMES.map(name => `${name}${unique}`);
  const [expected, untagged]: [string[], string[]] = [[], []];
  for (const model of models) {
    expect(isSearchableName(model)).toBe(true);
    expected.push(formatKey(await registry.register(model, "s3://models/x", { [tag]: "True" })));
    untagged.push(formatKey(await registry.register(model, "s3://models/x", { [tag]: "false" })));
    await registry.register(model, "s3://models/x");
  }
  const other = `other${unique}`;
  const [tagged] = [await registry.register(other, "s3://models/x", { [tag]: "true" })];

  const found = await reader.findTagged(models, tag);
  const one = await reader.findTagged([other], tag);
  const numbered = await reader.findNumbered(models, { first: 1, last: 2 });
  const second = await reader.findNumbered(models, { first: 2, last: 2 });

  expect(found.map(formatKey).sort()).toEqual(expected.sort());
  // The same as when each is read by itself.
  for (const version of [...found, ...numbered]) expect(version).toEqual(await reader.getModelVersion(version));
  expect(one.map(formatKey)).toEqual([formatKey(tagged)]);
  expect(numbered.map(formatKey).sort()).toEqual([...expected, ...untagged].sort());
  expect(second.map(formatKey).sort()).toEqual(untagged.sort());
});
