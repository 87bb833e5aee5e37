import { request } from "node:http";

/** Rows of numbers, all of the same length. */
export type Rows = readonly (readonly number[])[];

/** A request in the Open Inference Protocol v2. */
export interface InferenceRequest {
  readonly inputs: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly datatype: string;
    readonly data: Rows;
  }[];
}

/** The address of a model: where to connect to, and the host name and path to ask for there. */
export interface ModelAddress {
  /** Base URL of the ingress. */
  readonly ingress: string;
  /** The host name of the InferenceService: that of its status.url. */
  readonly host: string;
  /** Name of the InferenceService. */
  readonly service: string;
  /** Name of the model for the server: the registered model's, made a valid label. */
  readonly model: string;
}

/** What a model server answered. */
export interface InferenceAnswer {
  readonly status: number;
  /** Exactly as it came. */
  readonly text: string;
}

/** The request that asks for a prediction for each row. */
export function inferenceRequest(rows: Rows): InferenceRequest {
  const shape = [rows.length, rows[0]?.length ?? 0];
  return { inputs: [{ name: "rows", shape, datatype: "FP64", data: rows }] };
}

/** The path of a model's predictions. */
export function inferencePath(model: string): string {
  return `/v2/models/${model}/infer`;
}

/** Asks a model for predictions. @throws when nobody answers */
export function infer(address: ModelAddress, body: InferenceRequest): Promise<InferenceAnswer> {
  return send(address, "POST", inferencePath(address.model), JSON.stringify(body));
}

/** Whether the server has the model loaded. Never throws. */
export async function isLoaded(address: ModelAddress): Promise<boolean> {
  const { status } = await send(address, "GET", `/v2/models/${address.model}/ready`).catch(() => ({ status: 0 }));
  return status === 200;
}

/**
 * The predictions of an answer.
 * @throws when it is no answer with one number for each row
 */
export function predictionsOf({ status, text }: InferenceAnswer): number[] {
  if (status !== 200) throw new Error(`The model server answered ${status}: ${text.slice(0, 500)}`);
  const { outputs } = JSON.parse(text) as { outputs: { data: number[] }[] };
  const data = outputs[0]?.data;
  if (!data) throw new Error(`The model server answered without outputs: ${text.slice(0, 500)}`);
  return data;
}

function send({ ingress, host }: ModelAddress, method: string, path: string, body = ""): Promise<InferenceAnswer> {
  return new Promise((resolve, reject) => {
    const headers = { host, "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const call = request(`${ingress}${path}`, { method, headers, agent: false, timeout: 30_000 }, response => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.once("end", () => {
        resolve({ status: response.statusCode ?? 0, text: text.trim() });
      });
      response.once("error", reject);
    });
    call.once("timeout", () => call.destroy(new Error(`${host} did not answer within half a minute`)));
    call.once("error", reject);
    call.end(body);
  });
}
