import { randomUUID } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import type { IncomingMessage } from "node:http";
import { expect } from "vitest";
import { sign } from "../../capabilities/server/webhook/signature";
import { SECRET } from "./listener-fixture";
import { readOpenApi } from "./openapi";
import type { ReceivedAnswer } from "./openapi";

/** What every answer here is checked against. */
export const openApi = readOpenApi();

export type Headers = Readonly<Record<string, string | undefined>>;

/** One request and its answer, over a connection of its own, which has been checked against docs/openapi.yaml. */
export async function ask(
  url: string,
  target: string,
  method = "GET",
  headers: Headers = {},
  body?: string,
  ca?: string,
): Promise<ReceivedAnswer & { readonly json: Readonly<Record<string, unknown>> }> {
  const given = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined));
  const options = { method, headers: { ...given, connection: "close" } as Record<string, string> };
  const request =
    ca === undefined ? http.request(url + target, options) : https.request(url + target, { ...options, ca });
  request.end(body);
  const [response] = (await once(request, "response")) as [IncomingMessage];
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += String(chunk);
  const answer = { status: response.statusCode ?? 0, headers: response.headers as Record<string, string>, text };
  const place = target.split("?", 1)[0] ?? "";
  const described = openApi.paths.includes(place) && answer.status !== 405;
  expect(described ? openApi.problemsOf(place, method, answer) : openApi.problemsOfError(answer)).toEqual([]);
  const isJson = answer.headers["content-type"]?.startsWith("application/json");
  return { ...answer, json: isJson ? (JSON.parse(text) as Record<string, unknown>) : {} };
}

/** The body of an event, about the deploy tag of version 1 unless changed. */
export function eventOf(model: string, changes: Readonly<Record<string, unknown>> = {}): string {
  const data = { name: model, version: "1", key: "deploy", value: "true" };
  return JSON.stringify({
    entity: "model_version_tag",
    action: "set",
    timestamp: new Date().toISOString(),
    data,
    ...changes,
  });
}

/** Headers of a correct delivery; what is given takes their place, undefined leaves one out. */
export function signed(body: string, changes: Headers = {}): Headers {
  const id = changes["x-mlflow-delivery-id"] ?? randomUUID();
  const timestamp = changes["x-mlflow-timestamp"] ?? String(Math.floor(Date.now() / 1000));
  return {
    "content-type": "application/json",
    "x-mlflow-delivery-id": id,
    "x-mlflow-timestamp": timestamp,
    "x-mlflow-signature": sign(SECRET, id, timestamp, Buffer.from(body)),
    ...changes,
  };
}

/** An answer from its raw text. */
export function parseRaw(raw: string): ReceivedAnswer {
  const [head = "", ...rest] = raw.split("\r\n\r\n");
  const [first = "", ...lines] = head.split("\r\n");
  const headers = lines.map(line => [line.split(":", 1)[0]?.toLowerCase() ?? "", line.slice(line.indexOf(":") + 2)]);
  return {
    status: Number(first.split(" ")[1]),
    headers: Object.fromEntries(headers) as Record<string, string>,
    text: rest.join("\r\n\r\n"),
  };
}
