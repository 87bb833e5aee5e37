import type { SignatureInput } from "../mlflow/model-signature";
import type { VersionDetail } from "./published";

/** An example value, and its type in the Open Inference Protocol v2. */
interface Example {
  readonly datatype: string;
  readonly value: number | boolean | string;
}

/** MLflow's types of columns (mlflow/types/schema.py, DataType), and numpy's of arrays. */
const EXAMPLES: ReadonlyMap<string, Example> = new Map(
  Object.entries({
    ...{ boolean: { datatype: "BOOL", value: false }, bool: { datatype: "BOOL", value: false } },
    ...{ integer: { datatype: "INT32", value: 0 }, int32: { datatype: "INT32", value: 0 } },
    ...{ long: { datatype: "INT64", value: 0 }, int64: { datatype: "INT64", value: 0 } },
    ...{ float: { datatype: "FP32", value: 0 }, float32: { datatype: "FP32", value: 0 } },
    ...{ double: { datatype: "FP64", value: 0 }, float64: { datatype: "FP64", value: 0 } },
    ...{ uint8: { datatype: "UINT8", value: 0 }, string: { datatype: "BYTES", value: "text" } },
  } satisfies Record<string, Example>),
);

/** Elements of an example beyond which nobody reads it. */
const MAXIMUM_ELEMENTS = 200;

interface Input {
  readonly name: string;
  readonly shape: readonly number[];
  readonly datatype: string;
  readonly data: readonly Example["value"][];
  readonly parameters?: { readonly content_type: string };
}

/**
 * A request for a prediction to copy, in the Open Inference Protocol v2 as MLServer takes it for MLflow's models: columns as a
 * table, arrays as they are. The values are placeholders.
 *
 * @param url where the service answers
 * @param name the model's for its server
 * @returns undefined for inputs of a type that is not known, or too large to read
 */
export function predictionRequest(
  inputs: readonly SignatureInput[],
  url: string,
  name: string,
): NonNullable<VersionDetail["request"]> | undefined {
  const examples = inputs.map(exampleOf);
  if (examples.length === 0 || examples.some(example => example === undefined)) return undefined;
  const isTable = inputs.some(input => !("tensor-spec" in input));
  const body = JSON.stringify({ ...(isTable ? { parameters: { content_type: "pd" } } : {}), inputs: examples });
  const address = `${url.replace(/\/+$/, "")}/v2/models/${encodeURIComponent(name)}/infer`;
  return {
    curl: `curl -H 'Content-Type: application/json' ${quoted(address)} \\\n  -d ${quoted(body)}`,
    python: `import json\nimport requests\n\nbody = json.loads(${JSON.stringify(body)})\nprint(requests.post(${JSON.stringify(address)}, json=body).json())`,
  };
}

function exampleOf(input: SignatureInput, at: number): Input | undefined {
  const name = input.name ?? `input-${at}`;
  if (!("tensor-spec" in input)) {
    const example = EXAMPLES.get(input.type);
    if (example === undefined) return undefined;
    const { datatype, value } = example;
    const parameters = datatype === "BYTES" ? { parameters: { content_type: "str" } } : {};
    return { name, shape: [1], datatype, data: [value], ...parameters };
  }
  const { dtype, shape } = input["tensor-spec"];
  const example = EXAMPLES.get(dtype);
  const lengths = shape.map(length => (length === -1 ? 1 : length));
  const elements = lengths.reduce((product, length) => product * length, 1);
  if (example === undefined || elements > MAXIMUM_ELEMENTS) return undefined;
  const { datatype, value } = example;
  return { name, shape: lengths, datatype, data: Array<Example["value"]>(elements).fill(value) };
}

/** For a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
