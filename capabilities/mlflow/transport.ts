import http from "node:http";
import https from "node:https";
import * as z from "zod";
import { NoAnswerError, sendRequest } from "../support/http-client";
import type { HttpAnswer } from "../support/http-client";
import { fixedAccess } from "./access";
import type { MlflowAccess, RenewableAccess, TlsMaterial } from "./access";
import { MlflowError } from "./errors";
import type { MlflowErrorFacts } from "./errors";
import { refusalOf, TRACKING_URI_SETTING } from "./refusals";
import type { AnswerFacts } from "./refusals";

/** As mlflow/utils/workspace_utils.py has it. */
const WORKSPACE_HEADER = "x-mlflow-workspace";

const API_PATH = "/api/2.0/mlflow/";

/** A page of a search is at most a few megabytes; what is larger is no answer of MLflow's. */
const MAXIMUM_ANSWER_SIZE = 64 * 1024 * 1024;

/** Bytes of a refusal's body that are looked at for {@link MlflowErrorFacts.excerpt}, and its characters. */
const LOOKED_AT = 8 * 1024;
const EXCERPT = 300;

/** What is known of a call before it is sent. */
type CallFacts = Pick<MlflowErrorFacts, "call" | "host">;

const errorAnswer = z.object({ error_code: z.string(), message: z.string().default("") });

export interface MlflowTransportOptions {
  /** Base URL of the MLflow server; a path in it is kept (`--static-prefix`, an ingress path). */
  readonly trackingUri: string;
  /** How it is called; without, as the tracking URI says. */
  readonly access?: RenewableAccess;
  /** Milliseconds for one call. */
  readonly deadline: number;
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
  const inUri = authorizationIn(base);
  const { access = fixedAccess({ tls: {} }) } = options;
  const prefix = base.pathname.replace(/\/+$/, "") + API_PATH;
  const agents = createAgents(base, options.freshConnections === true);
  const once = async (call: MlflowCall, using: MlflowAccess, deadline: number): Promise<unknown> => {
    const { authorization = inUri, workspace } = using;
    const url = new URL(base.origin);
    // Not `new URL(path, origin)`, which takes a path that begins with two slashes for another host.
    url.pathname = prefix + call.path;
    for (const [name, value] of Object.entries(call.query ?? {})) url.searchParams.set(name, value);
    const body = call.body === undefined ? undefined : JSON.stringify(call.body);
    const facts: CallFacts = { call: `${call.method} ${url.pathname}`, host: url.host };
    const answer = await sendRequest({
      url,
      method: call.method,
      headers: {
        accept: "application/json",
        ...(authorization === undefined ? {} : { authorization }),
        ...(workspace === undefined ? {} : { [WORKSPACE_HEADER]: workspace }),
        ...(body === undefined
          ? {}
          : { "content-type": "application/json", "content-length": String(Buffer.byteLength(body)) }),
      },
      ...(body === undefined ? {} : { body }),
      agent: agents(using.tls),
      deadline,
      maximumBodySize: MAXIMUM_ANSWER_SIZE,
    }).catch((error: unknown) => {
      throw error instanceof NoAnswerError ? unreachable(error, facts) : error;
    });
    return interpret(answer, facts, authorization);
  };
  return async call => {
    const start = performance.now();
    const using = access.current();
    try {
      return await once(call, using, options.deadline);
    } catch (error) {
      // What MLflow refused it did not do: it can be sent again, whatever it is.
      const isRefused = error instanceof MlflowError && error.facts.status === 401;
      if (!isRefused || !(await access.renew(using))) throw error;
      return await once(call, access.current(), Math.max(1, options.deadline - (performance.now() - start)));
    }
  };
}

function unreachable(error: NoAnswerError, facts: CallFacts): MlflowError {
  const message = `MLflow cannot be reached: ${error.message}; check that it runs and ${TRACKING_URI_SETTING}`;
  return new MlflowError("unreachable", message, undefined, {
    cause: error,
    facts: { ...facts, timedOut: error.timedOut },
  });
}

/**
 * Over plain HTTP every call gets a fresh connection: MLflow's server writes an answer in two pieces, and on a kept
 * connection the second waits some 40 ms for the kernel's delayed acknowledgement of the first. Over TLS a new
 * connection costs more than that is worth, and what ends TLS usually joins the pieces.
 *
 * @returns the agent for what connections are made with now
 */
function createAgents(base: URL, freshConnections: boolean): (tls: TlsMaterial) => http.Agent | https.Agent {
  if (base.protocol !== "https:") {
    const agent = new http.Agent({ keepAlive: false });
    return () => agent;
  }
  let current: { readonly tls: TlsMaterial; readonly agent: https.Agent } | undefined;
  return tls => {
    // Connections that were made with the former certificates end by themselves when they are idle.
    if (current?.tls !== tls) current = { tls, agent: secureAgent(tls, freshConnections) };
    return current.agent;
  };
}

function secureAgent(
  { certificates, clientCertificate, insecure }: TlsMaterial,
  freshConnections: boolean,
): https.Agent {
  return new https.Agent({
    keepAlive: !freshConnections,
    rejectUnauthorized: insecure !== true,
    ...(certificates === undefined ? {} : { ca: certificates }),
    ...(clientCertificate === undefined ? {} : { cert: clientCertificate, key: clientCertificate }),
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

function interpret(answer: HttpAnswer, call: CallFacts, authorization: string | undefined): unknown {
  const { status, body } = answer;
  const json = parseJson(body);
  if (status === 200 && json !== undefined) return json;
  const failure = errorAnswer.safeParse(json);
  const { error_code: code, message: reason } = failure.data ?? {};
  const facts = { ...call, ...factsOf(answer, authorization), code, reason };
  const { kind, sentence } = refusalOf(facts);
  throw new MlflowError(kind, sentence, code, { facts });
}

function factsOf({ status, headers, body }: HttpAnswer, authorization: string | undefined): AnswerFacts {
  const { location } = headers;
  return {
    status,
    contentType: headers["content-type"]?.split(";")[0]?.trim().toLowerCase(),
    size: body.length,
    excerpt: excerptOf(body, authorization),
    server: [headers.server ?? []].flat()[0],
    challenged: headers["www-authenticate"] !== undefined,
    location: withoutQuery(location),
  };
}

/**
 * How a body begins, without its markup. A page of a proxy for debugging may repeat what we sent: our credentials go.
 */
function excerptOf(body: Buffer, authorization: string | undefined): string {
  const text = body
    .subarray(0, LOOKED_AT)
    .toString("utf8")
    .replace(/<(style|script)\b.*?(<\/\1\s*>|$)|<!--.*?-->|<[^>]*>?/gis, " ")
    .replace(/\s+/g, " ")
    .trim();
  const credentials = authorization?.replace(/^\S+ /, "") ?? "";
  return (credentials === "" ? text : text.replaceAll(credentials, "***")).slice(0, EXCERPT);
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
