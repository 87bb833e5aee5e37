import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { parseSignature } from "../mlflow/model-signature";
import { predictionRequest } from "./prediction-request";

const fileWith = (inputs: unknown): string => `flavors: {}\nsignature:\n  inputs: '${JSON.stringify(inputs)}'\n`;
const requestFor = (inputs: unknown): ReturnType<typeof predictionRequest> =>
  predictionRequest(parseSignature(fileWith(inputs)) ?? [], "http://iris.example.org/", "iris");

/** What a shell would give to curl. */
function bodyOf(curl: string): unknown {
  const { stdout } = spawnSync("sh", ["-c", `curl() { for last; do :; done; printf %s "$last"; }\n${curl}`], {
    encoding: "utf8",
  });
  return JSON.parse(stdout);
}

describe("predictionRequest", () => {
  it("has an array in the shape that the signature says", () => {
    const request = requestFor([{ type: "tensor", "tensor-spec": { dtype: "float64", shape: [-1, 4] } }]);
    expect(request?.curl).toContain("'http://iris.example.org/v2/models/iris/infer'");
    expect(bodyOf(request?.curl ?? "")).toEqual({
      inputs: [{ name: "input-0", shape: [1, 4], datatype: "FP64", data: [0, 0, 0, 0] }],
    });
  });

  it("has a table of the columns, whatever their names", () => {
    const columns = [
      { type: "double", name: "it's $(wide)", required: true },
      { type: "string", name: "kind" },
    ];
    const file = `signature:\n  inputs: |-\n    ${JSON.stringify(columns)}\n`;
    const request = predictionRequest(parseSignature(file) ?? [], "http://iris", "iris");
    const body = {
      parameters: { content_type: "pd" },
      inputs: [
        { name: "it's $(wide)", shape: [1], datatype: "FP64", data: [0] },
        { name: "kind", shape: [1], datatype: "BYTES", data: ["text"], parameters: { content_type: "str" } },
      ],
    };
    expect(bodyOf(request?.curl ?? "")).toEqual(body);
    const text = /json\.loads\((".*")\)/.exec(request?.python ?? "")?.[1];
    expect(JSON.parse(JSON.parse(text ?? '""') as string)).toEqual(body);
  });

  it.each([
    ["a type that is not known", [{ type: "object", name: "x" }]],
    ["an array that nobody reads", [{ type: "tensor", "tensor-spec": { dtype: "float32", shape: [-1, 224, 224, 3] } }]],
    ["a shape that there is not", [{ type: "tensor", "tensor-spec": { dtype: "float32", shape: [-2] } }]],
    ["a type that every object has", [{ type: "constructor", name: "x" }]],
    ["no inputs", []],
  ])("is none for %s", (_, inputs) => {
    expect(requestFor(inputs)).toBeUndefined();
  });

  it.each(["", "flavors: {}", "signature: null", "signature:\n  inputs: '{'", "\t: ["])(
    "is none without a signature (%j)",
    file => {
      expect(parseSignature(file)).toBeUndefined();
    },
  );
});
