import type http from "node:http";
import https from "node:https";
import type { RequestOptions } from "node:https";
import { KubeConfig } from "@kubernetes/client-node";
import * as z from "zod";
import { NoAnswerError, sendRequest } from "../support/http-client";
import { messageOf } from "../observability/logging";

/** Milliseconds after which credentials are read again: ServiceAccount tokens on disk are renewed, as client-go does. */
const CREDENTIALS_LIFETIME = 60_000;

const MAXIMUM_ANSWER_SIZE = 512 * 1024 * 1024;

/** Connections kept to the API server; more requests than that wait for a free one. */
const MAXIMUM_CONNECTIONS = 32;

/** Milliseconds that an unused connection is kept, so that those of a replaced agent go away. */
const IDLE_TIMEOUT = 60_000;

const statusAnswer = z.object({
  reason: z.string().default(""),
  message: z.string().default(""),
  details: z.object({ name: z.string().optional(), kind: z.string().optional() }).default({}),
});

/** The API server refused a request, or gave no answer (status 0). */
export class KubernetesError extends Error {
  constructor(
    /** HTTP status, 0 when there was no answer. */
    readonly status: number,
    /** `reason` of the Kubernetes Status object: NotFound, Conflict, Invalid, … */
    readonly reason: string,
    message: string,
    /** The object that the Status names, when it names one; its uid when who asked knew it. */
    readonly about: {
      readonly name?: string | undefined;
      readonly kind?: string | undefined;
      readonly uid?: string | undefined;
    } = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = "KubernetesError";
  }
}

export interface ApiServerRequest {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Absolute path, encoded. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly contentType?: string;
  /** The form that is asked for, where it is not the object as it is. */
  readonly accept?: string;
  readonly body?: unknown;
}

/**
 * Sends one request to the Kubernetes API server.
 *
 * @returns HTTP status and parsed body of a successful answer
 * @throws KubernetesError for any other answer or none
 */
export type ApiServer = (request: ApiServerRequest) => Promise<{ status: number; body: unknown }>;

/**
 * Connects to the API server that the environment names (KUBECONFIG, ~/.kube/config, or the pod's ServiceAccount), found
 * the way Pepr finds it. kubernetes-fluent-client would open a new TLS connection for each request and keep every one of
 * them for ten minutes; here all requests share a few.
 *
 * @param deadline milliseconds for one request
 * @throws Error when no cluster is configured
 */
export function connectToApiServer(deadline: number, kubeConfig = defaultKubeConfig()): ApiServer {
  const cluster = kubeConfig.getCurrentCluster();
  if (!cluster) {
    throw new Error("No Kubernetes cluster is configured; set KUBECONFIG, or run inside a cluster");
  }
  const credentials = cachedCredentials(kubeConfig);
  return async ({ method, path, query = {}, contentType = "application/json", accept = "application/json", body }) => {
    const url = new URL(cluster.server.replace(/\/+$/, "") + path);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const where = `${method} ${url.pathname}`;
    try {
      const { agent, headers } = await credentials();
      const text = body === undefined ? undefined : jsonThatIsYaml(body);
      const answer = await sendRequest({
        url,
        method,
        agent,
        deadline,
        maximumBodySize: MAXIMUM_ANSWER_SIZE,
        headers: {
          ...headers,
          accept,
          "user-agent": "mlflow-kserve",
          ...(text === undefined
            ? {}
            : { "content-type": contentType, "content-length": String(Buffer.byteLength(text)) }),
        },
        ...(text === undefined ? {} : { body: text }),
      });
      const answerText = answer.body.toString("utf8");
      if (answer.status >= 200 && answer.status < 300) {
        return { status: answer.status, body: parseAnswer(answer.status, answerText, where) };
      }
      throw refusal(answer.status, answerText, where);
    } catch (error) {
      if (error instanceof KubernetesError) throw error;
      const cause = error instanceof NoAnswerError ? error.message : `${where}: ${messageOf(error)}`;
      const message = `The Kubernetes API server cannot be reached: ${cause}`;
      throw new KubernetesError(0, "NoAnswer", message, {}, { cause: error });
    }
  };
}

/**
 * JSON that means the same when it is read as YAML, as the API server reads an Apply: YAML's reader refuses some characters
 * that JSON lets stand in a text (DEL, C1 controls, U+FFFE and U+FFFF), and takes others for line ends, which it folds
 * into spaces (U+0085, U+2028, U+2029). As escapes they mean themselves in both.
 */
function jsonThatIsYaml(body: unknown): string {
  return JSON.stringify(body).replace(
    /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** @throws KubernetesError when something else than an API server answered (a sign-in page), or the answer is garbled */
function parseAnswer(status: number, text: string, where: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new KubernetesError(
      status,
      "NotJson",
      `${where} was answered ${status} with ${text.length} characters that are not JSON; check that the kubeconfig's server is the Kubernetes API server itself`,
    );
  }
}

/** A path that the API server does not know (no CRD) and proxies on the way answer with plain text, not a Status. */
function refusal(status: number, text: string, where: string): KubernetesError {
  try {
    const { reason, message, details } = statusAnswer.parse(JSON.parse(text));
    return new KubernetesError(status, reason, message || `${where} was answered ${status}`, details);
  } catch {
    return new KubernetesError(status, "Unknown", `${where} was answered ${status}: ${text.trim().slice(0, 200)}`);
  }
}

function defaultKubeConfig(): KubeConfig {
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromDefault();
  return kubeConfig;
}

interface Credentials {
  readonly agent: http.Agent | https.Agent;
  readonly headers: Record<string, string>;
}

/** The agent is replaced only when a certificate changed, so that connections live on while a token is renewed. */
function cachedCredentials(kubeConfig: KubeConfig): () => Promise<Credentials> {
  let current: { credentials: Credentials; identity: string; readAt: number } | undefined;
  let reading: Promise<Credentials> | undefined;
  const read = async (): Promise<Credentials> => {
    const options: RequestOptions = { headers: {} };
    await kubeConfig.applyToHTTPSOptions(options);
    const { ca, cert, key, rejectUnauthorized, servername, passphrase, pfx } = options;
    const tls = Object.fromEntries(
      Object.entries({ ca, cert, key, rejectUnauthorized, servername, passphrase, pfx }).filter(
        ([, value]) => value !== undefined,
      ),
    );
    const identity = JSON.stringify(tls);
    const cluster = kubeConfig.getCurrentCluster();
    // Only these need another agent than ours: a proxy, and plain HTTP (`kubectl proxy`).
    const theirs = cluster?.proxyUrl !== undefined || cluster?.server.startsWith("http:") === true;
    const keep = current?.identity === identity ? current.credentials.agent : undefined;
    const agent =
      keep ??
      (theirs
        ? (options.agent as http.Agent)
        : new https.Agent({ ...tls, keepAlive: true, maxSockets: MAXIMUM_CONNECTIONS, timeout: IDLE_TIMEOUT }));
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(options.headers ?? {})) {
      if (typeof value === "string") headers[name] = value.trim();
    }
    if (options.auth) headers.Authorization = `Basic ${Buffer.from(options.auth).toString("base64")}`;
    current = { credentials: { agent, headers }, identity, readAt: performance.now() };
    return current.credentials;
  };
  return async () => {
    if (current && performance.now() - current.readAt < CREDENTIALS_LIFETIME) return current.credentials;
    // Once for all who ask meanwhile: each reading could make an agent, with connections of its own.
    reading ??= read().finally(() => {
      reading = undefined;
    });
    return await reading;
  };
}
