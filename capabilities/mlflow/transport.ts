import http from "node:http";
import https from "node:https";
import * as z from "zod";
import { NoAnswerError, sendRequest } from "../support/http-client";
import type { HttpAnswer } from "../support/http-client";
import { MlflowError } from "./errors";

const API_PATH = "/api/2.0/mlflow/";

/** A page of a search is at most a few megabytes; what is larger is no answer of MLflow's. */
const MAXIMUM_ANSWER_SIZE = 64 * 1024 * 1024;

const errorAnswer = z.object({ error_code: z.string(), message: z.string().default("") });

export interface MlflowTransportOptions {
  /** Base URL of the MLflow server; a path in it is kept (`--static-prefix`, an ingress path). */
  readonly trackingUri: string;
  /** Value of the Authorization header. */
  readonly authorization: string | undefined;
  /** Milliseconds for one call. */
  readonly deadline: number;
  /** Certificates to trust (PEM), instead of those that Node trusts. */
  readonly certificates?: string | undefined;
  /** MLflow's certificate is not checked. */
  readonly insecureTls?: boolean;
  /** Over TLS too, every call gets a connection of its own, which may lead to another of MLflow's processes. */
  readonly freshConnections?: boolean;
}

export interface MlflowCall {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Below `/api/2.0/mlflow/`, already encoded. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/**
 * Calls MLflow's REST API and returns the parsed JSON of a successful answer.
 *
 * @throws MlflowError for everything else
 */
export type MlflowTransport = (call: MlflowCall) => Promise<unknown>;

export function createMlflowTransport(options: MlflowTransportOptions): MlflowTransport {
  const base = new URL(options.trackingUri);
  const authorization = options.authorization ?? authorizationIn(base);
  const prefix = base.pathname.replace(/\/+$/, "") + API_PATH;
  const agent = agentFor(base, options);
  return async call => {
    const url = new URL(base.origin);
    // Not `new URL(path, origin)`, which takes a path that begins with two slashes for another host.
    url.pathname = prefix + call.path;
    for (const [name, value] of Object.entries(call.query ?? {})) url.searchParams.set(name, value);
    const body = call.body === undefined ? undefined : JSON.stringify(call.body);
    const answer = await sendRequest({
      url,
      method: call.method,
      headers: {
        accept: "application/json",
        ...(authorization === undefined ? {} : { authorization }),
        ...(body === undefined
          ? {}
          : { "content-type": "application/json", "content-length": String(Buffer.byteLength(body)) }),
      },
      ...(body === undefined ? {} : { body }),
      agent,
      deadline: options.deadline,
      maximumBodySize: MAXIMUM_ANSWER_SIZE,
    }).catch((error: unknown) => {
      if (error instanceof NoAnswerError) {
        throw new MlflowError(
          "unreachable",
          `MLflow cannot be reached: ${error.message}; check that it runs and MLFLOW_KSERVE_MLFLOW_TRACKING_URI`,
          undefined,
          { cause: error },
        );
      }
      throw error;
    });
    return interpret(answer, `${call.method} ${url.pathname}`);
  };
}

/**
 * Over plain HTTP every call gets a fresh connection: MLflow's server writes an answer in two pieces, and on a kept
 * connection the second waits some 40 ms for the kernel's delayed acknowledgement of the first. Over TLS a new
 * connection costs more than that is worth, and what ends TLS usually joins the pieces.
 */
function agentFor(
  base: URL,
  { certificates, insecureTls, freshConnections }: MlflowTransportOptions,
): http.Agent | https.Agent {
  if (base.protocol !== "https:") return new http.Agent({ keepAlive: false });
  return new https.Agent({
    keepAlive: freshConnections !== true,
    rejectUnauthorized: insecureTls !== true,
    ...(certificates === undefined ? {} : { ca: certificates }),
  });
}

function authorizationIn(base: URL): string | undefined {
  if (base.username === "") return undefined;
  const credentials = `${percentDecoded(base.username)}:${percentDecoded(base.password)}`;
  return `Basic ${Buffer.from(credentials).toString("base64")}`;
}

/** A percent sign that begins no escape is one, as it is for Python. */
function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function interpret(answer: HttpAnswer, where: string): unknown {
  const { status, headers, body } = answer;
  const json = parseJson(body);
  if (status === 200) {
    if (json === undefined) {
      const type = headers["content-type"] ?? "no content type";
      throw new MlflowError(
        "unexpected",
        `${where} was answered with ${body.length} bytes (${type}) that are not JSON; check that MLFLOW_KSERVE_MLFLOW_TRACKING_URI points at MLflow itself`,
      );
    }
    return json;
  }
  if (status >= 300 && status < 400) {
    throw new MlflowError(
      "unexpected",
      `${where} was redirected to ${withoutQuery(headers.location) ?? "nowhere"}; set MLFLOW_KSERVE_MLFLOW_TRACKING_URI to MLflow's final address`,
    );
  }
  const failure = errorAnswer.safeParse(json);
  if (status === 401 || status === 403) {
    throw new MlflowError(
      "unauthorized",
      `${where} was answered ${status}; check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN`,
      failure.data?.error_code,
    );
  }
  if (failure.success) {
    throw new MlflowError(
      status >= 400 && status < 500 ? "refused" : "unexpected",
      `${where} was answered ${status} ${failure.data.error_code}: ${failure.data.message}`,
      failure.data.error_code,
    );
  }
  throw new MlflowError("unexpected", `${where} was answered ${status} without MLflow's error format`);
}

/** A sign-in page's address carries the state of the sign-in behind its question mark. */
function withoutQuery(location: string | undefined): string | undefined {
  return location?.replace(/[?#].*$/s, "");
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8")) as unknown;
  } catch {
    return undefined;
  }
}
