import { load } from "js-yaml";
import * as z from "zod";
import type { ModelVersionKey } from "../support/model-version-key";
import type { MlflowCall, MlflowTransport } from "./transport";

/** One column of a table that a model takes. */
const column = z.object({ type: z.string(), name: z.string().optional() });

/** One array that a model takes; a length of -1 is any. */
const tensor = z.object({
  type: z.literal("tensor"),
  name: z.string().optional(),
  "tensor-spec": z.object({ dtype: z.string(), shape: z.array(z.number().int().min(-1)) }),
});

const modelFile = z.object({ signature: z.object({ inputs: z.string() }).nullish() });

/** An input of a model's signature, as MLflow writes it (mlflow/types/schema.py). */
export type SignatureInput = z.output<typeof tensor> | z.output<typeof column>;

/** Reads what a version's model takes. */
export type SignatureReader = (key: ModelVersionKey) => Promise<readonly SignatureInput[] | undefined>;

/**
 * Reads the signature from the model's file MLmodel, by MLflow's own server.
 *
 * The returned function answers undefined for a model that has none, or one of a form that is not known; it throws MlflowError
 * when MLflow does not give the file.
 */
export function createSignatureReader(transport: MlflowTransport): SignatureReader {
  return async ({ model, version }) => {
    const call: MlflowCall = {
      method: "GET",
      path: "model-versions/get-artifact",
      query: { name: model, version, path: "MLmodel" },
      answersText: true,
    };
    return parseSignature(await transport(call));
  };
}

/** Characters; MLflow's own are a few thousand. */
const MAXIMUM_FILE_LENGTH = 1024 * 1024;

/** What a file MLmodel says of the inputs; undefined when it says nothing that is known. */
export function parseSignature(file: unknown): readonly SignatureInput[] | undefined {
  const text = String(file);
  if (text.length > MAXIMUM_FILE_LENGTH) return undefined;
  try {
    const { signature } = modelFile.parse(load(text));
    if (!signature) return undefined;
    return z.array(z.union([tensor, column])).parse(JSON.parse(signature.inputs));
  } catch {
    return undefined;
  }
}
