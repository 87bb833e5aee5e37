import { messageOf } from "../observability/logging";
import { MlflowError } from "./errors";
import type { MlflowErrorFacts } from "./errors";
import { TRACKING_URI_SETTING } from "./refusals";
import type { DeliveryTest } from "./webhook-answers";

/** Why MLflow's webhook is not registered, or not known to work. */
export type RegistrationFailure =
  /** A call of MLflow's API failed; `test` is the one that has MLflow make a test delivery. */
  | { readonly kind: "call"; readonly step: "registration" | "test"; readonly error: unknown }
  /** MLflow made a test delivery, and this came of it. */
  | { readonly kind: "delivery"; readonly test: DeliveryTest }
  /** So many calls MLflow answered, and so many it could not, for want of the key to the secret of a webhook. */
  | { readonly kind: "keys"; readonly readable: number; readonly unreadable: number };

/** The webhook that the advice is about; its URL without credentials. */
export interface AdviceContext {
  readonly name: string;
  readonly url: string;
}

const URL_SETTING = "MLFLOW_KSERVE_MLFLOW_WEBHOOK_URL";
const KEY = "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY";
const FIXED_KEY = `one Fernet key, the same for all its processes and restarts (python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())" makes one)`;

/** Texts of MLflow, its HTTP client (requests, urllib3), Python's ssl and sockets; the first that matches counts. */
const KNOWN_TEXTS: readonly (readonly [pattern: RegExp, advice: (match: string, about: AdviceContext) => string])[] = [
  [
    /Invalid webhook URL scheme: '([^']*)'/,
    scheme =>
      `MLflow refuses ${scheme} URLs: set MLFLOW_WEBHOOK_ALLOWED_SCHEMES=http,https on the MLflow server (and MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS=true for an address inside the cluster), or give an https URL in ${URL_SETTING}`,
  ],
  [
    /must not resolve to a non-public IP address\. '([^']*)'|Webhook connection blocked: (\S+) is not a public/,
    host =>
      `MLflow refuses ${host} because it is a private address: set MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS=true on the MLflow server, or give a public address in ${URL_SETTING}`,
  ],
  [
    /Cannot resolve Webhook URL hostname|Timed out (?:waiting to resolve|resolving)|Failed to resolve|Name or service not known/,
    (_, { url }) =>
      `MLflow cannot resolve the host name in ${url}: check ${URL_SETTING} and that the Service exists, as seen from the MLflow server`,
  ],
  [
    /Webhook name '([^']*)' is invalid/,
    name =>
      `MLflow does not take ${name} for a webhook's name: give MLFLOW_KSERVE_MLFLOW_WEBHOOK_NAME at most 63 letters, digits, dots, underscores and hyphens, with a letter or digit at both ends`,
  ],
  [
    /Webhook URL must include a hostname|Invalid webhook URL|InvalidURL|LocationParseError/,
    (_, { url }) => `MLflow cannot read the URL ${url}: correct ${URL_SETTING}`,
  ],
  [
    /(?:Hostname|IP address) mismatch|doesn't match|not valid for/,
    (_, { url }) =>
      `the certificate at ${url} is for another name: issue one whose subjectAltName has the URL's host, or correct ${URL_SETTING}`,
  ],
  [
    /certificate has expired|certificate is not yet valid/,
    (_, { url }) => `the certificate at ${url} has expired or is not valid yet: renew it, and check the clocks`,
  ],
  [
    /CERTIFICATE_VERIFY_FAILED/,
    (_, { url }) =>
      `MLflow does not trust the certificate at ${url}: add its CA to the bundle of MLflow's Python environment (python -m certifi prints the path; for webhooks MLflow ignores REQUESTS_CA_BUNDLE and SSL_CERT_FILE), or use a certificate of a public CA`,
  ],
  [
    /WRONG_VERSION_NUMBER|SSLError/,
    (_, { url }) =>
      `MLflow finds no TLS at ${url}: give this module a certificate (MLFLOW_KSERVE_TLS_CERT_FILE, MLFLOW_KSERVE_TLS_KEY_FILE), or an http URL in ${URL_SETTING}`,
  ],
  [
    /Connection refused/,
    (_, { url }) =>
      `nothing listens at ${url}, as seen from the MLflow server: check the host and port in ${URL_SETTING} and that the Service has endpoints`,
  ],
  [
    /timed out|Timeout|No route to host|Network is unreachable/,
    (_, { url }) =>
      `MLflow gets no connection to ${url}, or no answer in time: check ${URL_SETTING}, and that a NetworkPolicy or firewall lets MLflow through (it uses no proxy)`,
  ],
  [
    /RemoteDisconnected|Connection aborted|Connection reset/,
    (_, { url }) =>
      `the connection to ${url} was closed without an answer: check whether ${URL_SETTING} must begin with https, and what stands between MLflow and this module`,
  ],
];

/** Cause and cure of a failure, in one sentence without secrets. */
export function adviceFor(failure: RegistrationFailure, about: AdviceContext): string {
  switch (failure.kind) {
    case "keys":
      return adviceAboutKeys(failure.readable > 0, about);
    case "delivery":
      return adviceAboutDelivery(failure.test, about);
    case "call":
      return adviceAboutCall(failure.step, failure.error, about);
  }
}

/** Without counts: the same cause has the same sentence each time. */
function adviceAboutKeys(someCanRead: boolean, { name }: AdviceContext): string {
  if (someCanRead) {
    return `MLflow's server processes cannot decrypt each other's webhook secrets, so deliveries would be lost: set ${KEY} on the MLflow server to ${FIXED_KEY}`;
  }
  return `MLflow cannot decrypt the secret of a webhook that it holds, because ${KEY} was changed, or not set when the webhook was made: give the MLflow server its former key again; if that is lost, set ${FIXED_KEY} and mark the webhook deleted in MLflow's database (UPDATE webhooks SET deleted_timestamp = 1 WHERE name = '${name}'), as well as others of the former key`;
}

function adviceAboutDelivery(test: DeliveryTest, about: AdviceContext): string {
  const { response_status: status, response_body: body } = test;
  if (status === undefined) return adviceAboutText(test.error_message, about);
  const ours = messageIn(body);
  const said = ours === undefined ? String(status) : `${status} (${ours})`;
  if (status === 401 && ours !== undefined) {
    return ours.includes("timestamp")
      ? `this module answered MLflow's test delivery ${said}: set the clocks of MLflow's and this module's machines`
      : `this module answered MLflow's test delivery ${said}: give all replicas the same secret; it is set in MLflow again with the next attempt`;
  }
  if (ours !== undefined) {
    return `this module answered MLflow's test delivery ${said}: see its log; trying again may help`;
  }
  return `what answers at ${about.url} (with ${status}) is not this module: check host and path in ${URL_SETTING} (it must lead to /webhook), and what stands between MLflow and this module`;
}

type Call = Pick<MlflowError, "kind" | "code" | "facts"> & { readonly step: "registration" | "test" };

/** What a failed call means for webhooks alone; the first that matches counts. Every other failure says itself what it is. */
const ABOUT_CALLS: readonly (readonly [matches: (call: Call) => boolean, advice: (about: AdviceContext) => string])[] =
  [
    [
      ({ step, facts }) => step === "test" && facts.timedOut === true,
      ({ url }) =>
        `MLflow did not end its test delivery in time, most likely because it gets no connection to ${url}: check ${URL_SETTING}, and that a NetworkPolicy or firewall lets MLflow through`,
    ],
    [
      ({ kind, facts }) => kind === "unauthorized" && facts.status === 403,
      ({ name }) =>
        `MLflow lets only its administrators manage webhooks: make the user of MLFLOW_TRACKING_USERNAME one, or register the webhook ${name} by hand and leave out ${URL_SETTING}`,
    ],
    [
      ({ code }) => code === "RESOURCE_DOES_NOT_EXIST",
      ({ name }) =>
        `the webhook ${name} was deleted in MLflow while it was being tested; it is made again: if that goes on, find out who deletes it`,
    ],
    [
      ({ facts }) => facts.status === 404 && isFromMlflow(facts),
      () =>
        `this MLflow has no webhooks: update it to 3.3 or newer, or correct ${TRACKING_URI_SETTING}, or set MLFLOW_KSERVE_DISABLE_WEBHOOKS=true`,
    ],
    [
      ({ facts }) => facts.status === 500 && isFromMlflow(facts),
      () =>
        "MLflow failed at its webhooks, as it does with a file store: give the MLflow server a database (--backend-store-uri), or set MLFLOW_KSERVE_DISABLE_WEBHOOKS=true; its own log says more",
    ],
    [
      ({ facts }) => facts.reason?.includes(KEY) === true,
      () => `MLflow cannot keep a webhook's secret: set ${KEY} on the MLflow server to ${FIXED_KEY}`,
    ],
  ];

function adviceAboutCall(step: Call["step"], error: unknown, about: AdviceContext): string {
  if (!(error instanceof MlflowError)) return shortened(messageOf(error));
  const { kind, code, facts } = error;
  const known = ABOUT_CALLS.find(([matches]) => matches({ kind, code, facts, step }));
  if (known) return known[1](about);
  return code === undefined ? shortened(error.message) : adviceAboutText(facts.reason ?? error.message, about);
}

/** Pages that MLflow's web framework makes for what MLflow does not handle itself. */
function isFromMlflow({ code, excerpt = "" }: MlflowErrorFacts): boolean {
  return code === undefined && /^(404 Not Found Not Found|(500 )?Internal Server Error)/.test(excerpt);
}

function adviceAboutText(text: string, about: AdviceContext): string {
  for (const [pattern, advice] of KNOWN_TEXTS) {
    const match = pattern.exec(text);
    if (match) return advice(match.slice(1).find(Boolean) ?? "", about);
  }
  return `MLflow says: ${shortened(text)}`;
}

/** The message of an error that our endpoint answered; nothing of what other servers say. */
function messageIn(body: string): string | undefined {
  try {
    const answer: unknown = JSON.parse(body);
    if (typeof answer !== "object" || answer === null || !("status" in answer) || answer.status !== "error")
      return undefined;
    return "message" in answer && typeof answer.message === "string" ? shortened(answer.message) : undefined;
  } catch {
    return undefined;
  }
}

/** One line of bounded length, without what a URL may carry before its host or behind its path, and without SQL. */
function shortened(text: string): string {
  const line = text.replace(/\[SQL[\s\S]*$/, "").replace(/\s+/g, " ");
  const masked = line.replace(/\/\/[^/\s'"]*@/g, "//***@").replace(/\?[^\s'")]+/g, "?***");
  return masked.length > 400 ? `${masked.slice(0, 400)}…` : masked.trim();
}
