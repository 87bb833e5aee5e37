import * as z from "zod";
import { basicAuthorization } from "../support/basic-authorization";
import { NoAnswerError, sendRequest } from "../support/http-client";
import type { HttpAnswer } from "../support/http-client";
import { fixedAccess } from "./access";
import type { MlflowAccess, RenewableAccess } from "./access";
import { createRoutes, shownProxy } from "./routes";
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

/** Headers' values that we send, of which no answer's text may show any. */
type Secrets = readonly (string | undefined)[];

/** What is known of a call before it is sent. */
type CallFacts = Pick<MlflowErrorFacts, "call" | "host" | "proxy">;

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
  /** Below `/api/2.0/mlflow/`, already encoded; below the tracking URI itself for one that answers a text. */
  readonly path: string;
  /** What is answered is a file, and comes back as a text. */
  readonly answersText?: boolean;
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
  const inUri = basicAuthorization(base);
  const { access = fixedAccess({ tls: {} }) } = options;
  const root = base.pathname.replace(/\/+$/, "");
  const routes = createRoutes(base, options.freshConnections === true);
  const once = async (call: MlflowCall, using: MlflowAccess, deadline: number): Promise<unknown> => {
    const { authorization = inUri, workspace } = using;
    const url = new URL(base.origin);
    // Not `new URL(path, origin)`, which takes a path that begins with two slashes for another host.
    url.pathname = root + (call.answersText === true ? "/" : API_PATH) + call.path;
    for (const [name, value] of Object.entries(call.query ?? {})) url.searchParams.set(name, value);
    const body = call.body === undefined ? undefined : JSON.stringify(call.body);
    const facts: CallFacts = {
      call: `${call.method} ${url.pathname}`,
      host: url.host,
      ...(using.proxy === undefined ? {} : { proxy: shownProxy(using.proxy) }),
    };
    const answer = await sendRequest({
      url,
      method: call.method,
      headers: {
        accept: call.answersText === true ? "*/*" : "application/json",
        "accept-encoding": "identity",
        ...(authorization === undefined ? {} : { authorization }),
        ...(workspace === undefined ? {} : { [WORKSPACE_HEADER]: workspace }),
        ...(body === undefined
          ? {}
          : { "content-type": "application/json", "content-length": String(Buffer.byteLength(body)) }),
      },
      ...(body === undefined ? {} : { body }),
      ...routes(using),
      deadline,
      maximumBodySize: MAXIMUM_ANSWER_SIZE,
    }).catch((error: unknown) => {
      throw error instanceof NoAnswerError ? unreachable(error, facts) : error;
    });
    if (call.answersText === true && answer.status === 200) return answer.body.toString("utf8");
    return interpret(answer, facts, [authorization, ...secretsOf(using)]);
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
  const { proxy, host = "" } = facts;
  const [way, cure] =
    proxy === undefined
      ? ["", `check that it runs and ${TRACKING_URI_SETTING}`]
      : [
          ` through the proxy ${proxy}`,
          `check that the proxy runs, takes us and lets us reach ${host}, or add ${host} to NO_PROXY to call MLflow directly`,
        ];
  const message = `MLflow cannot be reached${way}: ${error.message}; ${cure}`;
  return new MlflowError("unreachable", message, undefined, {
    cause: error,
    facts: { ...facts, timedOut: error.timedOut },
  });
}

/** What a proxy is given and may repeat on a page of its own. */
function secretsOf({ proxy }: MlflowAccess): Secrets {
  return proxy === undefined ? [] : [basicAuthorization(new URL(proxy.url)), new URL(proxy.url).password];
}

function interpret(answer: HttpAnswer, call: CallFacts, secrets: Secrets): unknown {
  const { status, body } = answer;
  const json = parseJson(body);
  if (status === 200 && json !== undefined) return json;
  const failure = errorAnswer.safeParse(json);
  const { error_code, message } = failure.data ?? {};
  const [code, reason] = [error_code?.slice(0, EXCERPT), message && withoutSent(message, secrets)];
  const facts = { ...call, ...factsOf(answer, secrets), code, reason };
  const { kind, sentence } = refusalOf(facts);
  throw new MlflowError(kind, sentence, code, { facts });
}

function factsOf({ status, headers, body }: HttpAnswer, secrets: Secrets): AnswerFacts {
  const { location } = headers;
  return {
    status,
    contentType: headers["content-type"]?.split(";")[0]?.trim().toLowerCase().slice(0, EXCERPT),
    size: body.length,
    excerpt: excerptOf(body, secrets),
    server: [headers.server ?? []].flat()[0],
    challenged: headers["www-authenticate"] !== undefined,
    location: withoutQuery(location),
  };
}

/**
 * How a body begins, without its markup. A page of a proxy for debugging may repeat what we sent: our credentials go.
 */
function excerptOf(body: Buffer, secrets: Secrets): string {
  const text = body
    .subarray(0, LOOKED_AT)
    .toString("utf8")
    .replace(/<(style|script)\b.*?(<\/\1\s*>|$)|<!--.*?-->|<[^>]*>?/gis, " ")
    .replace(/\s+/g, " ")
    .trim();
  return withoutSent(text, secrets).slice(0, EXCERPT);
}

/** A text without what we sent. */
function withoutSent(text: string, secrets: Secrets): string {
  const sent = secrets.map(secret => secret?.replace(/^\S+ /, "") ?? "").filter(secret => secret !== "");
  return sent.reduce((shown, secret) => shown.replaceAll(secret, "***"), text);
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
