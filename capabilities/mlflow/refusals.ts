import { foreignText } from "../support/foreign-text";
import type { MlflowErrorFacts, MlflowErrorKind } from "./errors";

/** What an answer means that is not the JSON of a success. */
export interface Refusal {
  readonly kind: MlflowErrorKind;
  /** Cause and cure in one sentence, without secrets. */
  readonly sentence: string;
}

/** An answer's facts; there is always a status. */
export type AnswerFacts = MlflowErrorFacts & { readonly status: number };

/** One sender of refusals: how its answers are told from others', and what they mean. */
interface Sender {
  readonly matches: (facts: AnswerFacts) => boolean;
  readonly kind: MlflowErrorKind;
  /** Goes behind "GET … was answered 403 ". */
  readonly meaning: (facts: AnswerFacts) => string;
}

export const TRACKING_URI_SETTING = "MLFLOW_KSERVE_MLFLOW_TRACKING_URI";

const CREDENTIALS = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN";
const ANOTHER_WAY = `give ${TRACKING_URI_SETTING} an address that leads to MLflow itself, such as its Service in the cluster`;

/** Characters of an answer of nobody we know that are shown. */
const SHOWN = 120;

const isHtml = ({ contentType }: AnswerFacts): boolean => contentType === "text/html";
const says =
  (pattern: RegExp) =>
  ({ excerpt = "" }: AnswerFacts): boolean =>
    pattern.test(excerpt);
const from =
  (server: RegExp, page: RegExp) =>
  ({ server: name = "", excerpt = "" }: AnswerFacts): boolean =>
    server.test(name) || page.test(excerpt);
const among =
  (...statuses: readonly number[]) =>
  ({ status }: AnswerFacts): boolean =>
    statuses.includes(status);

const isEnvoy = from(/^(envoy|istio-envoy)$/i, /^(RBAC: access denied|upstream connect error|no healthy upstream)/);
const isLoadBalancer = from(
  /^(awselb|Microsoft-Azure-Application-Gateway|Google Frontend|cloudflare|CloudFront)/i,
  /encountered a temporary error and could not complete your request|Microsoft-Azure-Application-Gateway|^no available server$/,
);
const isNginx = from(/^(nginx|openresty)/i, /\b(nginx|openresty)(\/[\d.]+)?$/i);
const isSignIn = says(/\b(sign[ -]?in|log[ -]?in|single sign-on|IAP credentials|oauth2?|openid|saml)\b/i);
const isRefusedHost = ({ status, excerpt = "" }: AnswerFacts): boolean =>
  (status === 403 || status === 400) && /^Invalid Host header/i.test(excerpt);

/**
 * Who answers for MLflow, by what only it says; the first that matches counts. MLflow's own answers come first, and what
 * says little about its sender comes last.
 */
const SENDERS: readonly Sender[] = [
  {
    matches: isRefusedHost,
    kind: "unexpected",
    meaning: ({ host = "" }) =>
      `(Invalid Host header): MLflow refuses to be called as ${host}; add ${host} to MLFLOW_SERVER_ALLOWED_HOSTS on the MLflow server, whose list replaces the default (localhost and private addresses)`,
  },
  {
    // Its text for whoever is not known, with any server in front of it.
    matches: facts =>
      facts.status === 401 && says(/^You are not authenticated\. Please see https:\/\/www\.mlflow/)(facts),
    kind: "unauthorized",
    meaning: () => `, MLflow does not know the user; check ${CREDENTIALS}`,
  },
  {
    // Of no kind that says something about a version: a workspace that is gone must not take its services along.
    matches: facts => facts.code === "RESOURCE_DOES_NOT_EXIST" && facts.reason?.startsWith("Workspace '") === true,
    kind: "unexpected",
    meaning: () => "; create the workspace in MLflow, or correct MLFLOW_WORKSPACE",
  },
  {
    matches: facts => facts.code === "FEATURE_DISABLED" && /workspace/i.test(facts.reason ?? ""),
    kind: "refused",
    meaning: () =>
      "; this MLflow has no workspaces: start it with --enable-workspaces, or take MLFLOW_WORKSPACE from this module",
  },
  {
    matches: facts => facts.status === 403 && (facts.code !== undefined || says(/^Permission denied\.?$/i)(facts)),
    kind: "unauthorized",
    meaning: () => "; MLflow's user has no permission for this: grant it in MLflow, or check MLFLOW_TRACKING_USERNAME",
  },
  {
    matches: facts => facts.status === 403 && says(/^RBAC: access denied/)(facts),
    kind: "unexpected",
    meaning: () =>
      "(RBAC: access denied): a service mesh forbids the call; allow this module's ServiceAccount in the AuthorizationPolicy of MLflow",
  },
  {
    matches: facts => facts.status === 401 && says(/^Jwt /)(facts),
    kind: "unauthorized",
    meaning: ({ excerpt = "" }) =>
      `(${shown(excerpt)}): a service mesh or gateway wants a token that it trusts; give one in MLFLOW_TRACKING_TOKEN, or ${ANOTHER_WAY}`,
  },
  {
    matches: facts => among(502, 503, 504)(facts) && isEnvoy(facts),
    kind: "unexpected",
    meaning: ({ excerpt = "" }) =>
      `by Envoy (${shown(excerpt)}): a service mesh or gateway gets no connection to MLflow; check that MLflow's pods run, and that both sides agree about mutual TLS`,
  },
  {
    matches: facts =>
      facts.status === 404 &&
      ((isEnvoy(facts) && facts.size === 0) || says(/^(default backend - 404|404 page not found)/)(facts)),
    kind: "unexpected",
    meaning: ({ host = "" }) =>
      `by an ingress that knows no ${host} with this path; check host and path in ${TRACKING_URI_SETTING}, and MLflow's Ingress or HTTPRoute`,
  },
  {
    matches: facts => facts.status === 401 && facts.challenged === true,
    kind: "unauthorized",
    meaning: () => `with a demand for credentials; check ${CREDENTIALS}`,
  },
  {
    // JSON in MLflow's format: a plugin for authentication, or a managed MLflow.
    matches: facts => facts.status === 401 && facts.code !== undefined,
    kind: "unauthorized",
    meaning: () => `; MLflow does not take the credentials: check ${CREDENTIALS}`,
  },
  {
    matches: facts => facts.status < 500 && (isHtml(facts) || facts.status === 401) && isSignIn(facts),
    kind: "unexpected",
    meaning: () =>
      `by a sign-in page of what stands before MLflow: ${ANOTHER_WAY}, or let this module's calls through (with MLFLOW_TRACKING_TOKEN, if it takes tokens)`,
  },
  {
    matches: ({ status, code }) => status === 429 && code === undefined,
    kind: "unexpected",
    meaning: () => "by a limit of what stands before MLflow: raise it for this module's calls",
  },
  {
    matches: facts => among(502, 503, 504)(facts) && (isLoadBalancer(facts) || isNginx(facts)),
    kind: "unexpected",
    meaning: facts =>
      `by ${isNginx(facts) ? "nginx" : "a load balancer"}, which gets no answer of MLflow: check that MLflow's pods run and are ready`,
  },
  {
    matches: facts => among(401, 403)(facts) && (isLoadBalancer(facts) || isNginx(facts)),
    kind: "unexpected",
    meaning: facts =>
      `by ${isNginx(facts) ? "nginx" : "a load balancer or firewall"} before MLflow, not by MLflow: allow this module's calls there, or ${ANOTHER_WAY}`,
  },
];

/** What an answer means that is no success in JSON, and what to do about it. Pure: the same facts have the same sentence. */
export function refusalOf(facts: AnswerFacts): Refusal {
  const { status, call = "the call", location, code, reason } = facts;
  const answered = `${call} was answered ${status}${code === undefined ? "" : ` ${code}: ${reason ?? ""}`}`;
  if (status >= 300 && status < 400) {
    return {
      kind: "unexpected",
      sentence: `${call} was redirected to ${location ?? "nowhere"}; set ${TRACKING_URI_SETTING} to MLflow's final address${isSignInAddress(location) ? ", one before which nobody has to sign in" : ""}`,
    };
  }
  const sender = SENDERS.find(({ matches }) => matches(facts));
  if (sender) {
    const meaning = sender.meaning(facts);
    return { kind: sender.kind, sentence: `${answered}${/^[;,:]/.test(meaning) ? "" : " "}${meaning}` };
  }
  if (code !== undefined) return { kind: status >= 400 && status < 500 ? "refused" : "unexpected", sentence: answered };
  const shownBody = bodyOf(facts);
  if (status === 200) {
    return {
      kind: "unexpected",
      sentence: `${call} was answered with ${shownBody} that are not JSON; check that ${TRACKING_URI_SETTING} points at MLflow itself`,
    };
  }
  if (status === 401 || status === 403) {
    return {
      kind: "unexpected",
      sentence: `${answered} by what is not MLflow (${shownBody}); find out what stands before it and let this module's calls through, or ${ANOTHER_WAY}`,
    };
  }
  return { kind: "unexpected", sentence: `${answered} without MLflow's error format (${shownBody})` };
}

/** Whether MLflow refused the host name that it was called by. */
export function refusesHost({ status, excerpt }: MlflowErrorFacts): boolean {
  return status !== undefined && isRefusedHost({ status, ...(excerpt === undefined ? {} : { excerpt }) });
}

function isSignInAddress(location = ""): boolean {
  return /\b(sign_?in|log-?in|auth|authorize|oauth2?|sso|saml2?|oidc|idp)\b/i.test(location);
}

function bodyOf({ size = 0, contentType = "no content type", excerpt = "" }: AnswerFacts): string {
  return `${size} bytes (${contentType}${excerpt === "" ? "" : `, "${shown(excerpt)}"`})`;
}

function shown(excerpt: string): string {
  const text = foreignText(excerpt);
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}
