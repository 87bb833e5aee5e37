import { expect, it } from "vitest";
import { compileTemplate, TemplateError, type TemplateVariables } from "../../capabilities/template/rendering";
import { YAML_SCALARS } from "../support/yaml-scalars";
import { createNamespace, testKubectl } from "../testbed/namespaces";

const HEAD = "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\n";
const NAMED = `${HEAD}metadata: {name: iris}\n`;
const VALUES = { name: "iris", namespace: "models" } as TemplateVariables;

/** The spec that our compiler makes of a template; undefined when it refuses the template because of kubectl. */
function compiledSpec(spec: string): unknown {
  try {
    return compileTemplate(`${HEAD}spec:\n${spec}`, "template").render(VALUES).spec;
  } catch (error) {
    if (error instanceof TemplateError && error.message.includes("kubectl, which reads YAML 1.1,")) return undefined;
    throw error;
  }
}

it("reads every scalar as the real kubectl does, or refuses it", async () => {
  const entries = YAML_SCALARS.map(([source]) => `  - {value: ${source}}\n`);
  const answer = await testKubectl()(
    ["create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-"],
    `${NAMED}spec:\n  list:\n${entries.join("")}`,
  );
  const { list } = (JSON.parse(answer) as { spec: { list: readonly { value: unknown }[] } }).spec;
  expect(list).toHaveLength(YAML_SCALARS.length);
  let refused = 0;
  for (const [index, [source, json]] of YAML_SCALARS.entries()) {
    // As JSON, since that has no -0.
    expect(JSON.stringify(list[index]?.value), source).toBe(JSON.stringify(JSON.parse(json)));
    const ours = compiledSpec(`  list:\n${entries[index] ?? ""}`);
    if (ours === undefined) refused++;
    else expect(JSON.stringify(ours), source).toBe(JSON.stringify({ list: [list[index]] }));
  }
  expect(refused).toBeGreaterThan(0);
  expect(refused).toBeLessThan(YAML_SCALARS.length);
});

it("refuses a number that the real cluster would take for another", async () => {
  const kubectl = testKubectl();
  const namespace = await createNamespace("yaml");
  const predictor = (replicas: string): string =>
    `  predictor:\n    minReplicas: ${replicas}\n    model: {modelFormat: {name: mlflow}, storageUri: "s3://a/b"}\n`;
  const answer = await kubectl(
    ["apply", "--server-side", "--dry-run=server", "-o", "json", "-n", namespace, "-f", "-"],
    `${NAMED}spec:\n${predictor("010")}`,
  );
  expect(JSON.parse(answer)).toMatchObject({ spec: { predictor: { minReplicas: 8 } } });
  expect(compiledSpec(predictor("010"))).toBeUndefined();
  expect(compiledSpec(predictor("8"))).toMatchObject({ predictor: { minReplicas: 8 } });
});
