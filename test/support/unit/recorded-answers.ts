import type { MlflowErrorKind } from "../../../capabilities/mlflow/errors";

/** A refusal as somebody between us and a model registry sends it, and what the module makes of it. */
export interface RecordedAnswer {
  /** Who sent it, and why. */
  readonly who: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly kind: MlflowErrorKind;
  /** Cause and cure, behind "GET … was answered ". */
  readonly sentence: RegExp;
}

const plain = { "content-type": "text/plain" };
const html = { "content-type": "text/html; charset=utf-8" };
const uvicorn = { server: "uvicorn", ...html };
const basic = { "www-authenticate": 'Basic realm="mlflow"' };
const envoy = { server: "envoy", ...plain };
const nginx = { server: "nginx/1.27.3", "content-type": "text/html" };
const squid = { server: "squid/5.7", "content-type": "text/html;charset=utf-8" };
const tinyproxy = { server: "tinyproxy/1.11.1", "content-type": "text/html" };
const alb = { server: "awselb/2.0", "content-type": "text/html" };

const page = (title: string, footer: string): string =>
  `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${title}</h1></center>\r\n<hr><center>${footer}</center>\r\n</body>\r\n</html>\r\n`;
const flaskPage = (status: string, title: string, text: string): string =>
  `<!doctype html>\n<html lang=en>\n<title>${status} ${title}</title>\n<h1>${title}</h1>\n<p>${text}</p>\n`;

const squidPage = (title: string, text: string): string =>
  `<html><head>\n<title>ERROR: ${title}</title>\n<style type="text/css"><!-- body { } --></style>\n</head><body>\n<div id="titles">\n<h1>ERROR</h1>\n<h2>${title}</h2>\n</div>\n<hr>\n<div id="content">\n<p>The following error was encountered while trying to retrieve the URL: <a href="http://mlflow.mlflow.svc:5000/api/2.0/mlflow/webhooks">http://mlflow.mlflow.svc:5000/api/2.0/mlflow/webhooks</a></p>\n<blockquote id="error">\n<p><b>${text}</b></p>\n</blockquote>\n<div id="footer">\n<p>Generated Fri, 27 Nov 2026 23:00:26 GMT by proxy (squid/5.7)</p>\n</div>\n</body></html>\n`;

export const NO_SUCH_PATH = flaskPage(
  "404",
  "Not Found",
  "The requested URL was not found on the server. If you entered the URL manually please check your spelling and try again.",
);
export const INTERNAL_ERROR_PAGE = flaskPage(
  "500",
  "Internal Server Error",
  "The server encountered an internal error and was unable to complete your request. Either the server is overloaded or there is an error in the application.",
);
export const INVALID_HOST = "Invalid Host header - possible DNS rebinding attack detected";
export const NOT_AUTHENTICATED =
  "You are not authenticated. Please see https://www.mlflow.org/docs/latest/auth/index.html#authenticating-to-mlflow on how to authenticate.";

/**
 * MLflow's are those of MLflow 3.17.2, Envoy's (Istio is made of it) those of Envoy 1.40.0, both as they came over the
 * wire; a forward proxy's those of Squid 5.7 (without most of its style sheet) and tinyproxy 1.11.1. The others are in the form that these products have.
 */
export const RECORDED_ANSWERS: readonly RecordedAnswer[] = [
  {
    who: "MLflow: called by a name that it does not know",
    ...{ status: 403, headers: { server: "uvicorn", ...plain }, body: INVALID_HOST, kind: "unexpected" },
    sentence: /^403 \(Invalid Host header\): .* as HOST; add HOST to MLFLOW_SERVER_ALLOWED_HOSTS on the MLflow server/,
  },
  {
    who: "MLflow with basic auth: no user, or a wrong password",
    ...{ status: 401, headers: { ...uvicorn, ...basic }, body: NOT_AUTHENTICATED, kind: "unauthorized" },
    sentence: /^401, MLflow does not know the user; check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or/,
  },
  {
    who: "MLflow with basic auth: a user without the permission",
    ...{ status: 403, headers: uvicorn, body: "Permission denied", kind: "unauthorized" },
    sentence: /^403; MLflow's user has no permission for this: grant it in MLflow, or check MLFLOW_TRACKING_USERNAME$/,
  },
  {
    who: "MLflow's error format: no permission",
    ...{ status: 403, headers: { "content-type": "application/json" }, kind: "unauthorized" },
    body: '{"error_code":"PERMISSION_DENIED","message":"not yours"}',
    sentence: /^403 PERMISSION_DENIED: not yours; MLflow's user has no permission/,
  },
  {
    who: "MLflow: a path that it does not have",
    ...{ status: 404, headers: uvicorn, body: NO_SUCH_PATH, kind: "unexpected" },
    sentence: /^404 without MLflow's error format \(207 bytes \(text\/html, "404 Not Found Not Found/,
  },
  {
    who: "nginx: basic auth before MLflow",
    ...{ status: 401, headers: { ...nginx, "www-authenticate": 'Basic realm="Restricted"' }, kind: "unauthorized" },
    body: page("401 Authorization Required", "nginx/1.27.3"),
    sentence: /^401 with a demand for credentials; check MLFLOW_TRACKING_USERNAME/,
  },
  {
    who: "nginx: forbidden by address",
    ...{ status: 403, headers: nginx, body: page("403 Forbidden", "nginx/1.27.3"), kind: "unexpected" },
    sentence: /^403 by nginx before MLflow, not by MLflow: allow this module's calls there/,
  },
  {
    who: "nginx: nothing behind it",
    ...{ status: 502, headers: nginx, body: page("502 Bad Gateway", "nginx/1.27.3"), kind: "unexpected" },
    sentence: /^502 by nginx, which gets no answer of MLflow: check that MLflow's pods run and are ready$/,
  },
  {
    who: "ingress-nginx: no rule for the host",
    ...{ status: 404, headers: plain, body: "default backend - 404", kind: "unexpected" },
    sentence: /^404 by an ingress that knows no HOST with this path; check host and path in MLFLOW_KSERVE_/,
  },
  {
    who: "Traefik: no rule for the host",
    ...{ status: 404, headers: plain, body: "404 page not found\n", kind: "unexpected" },
    sentence: /^404 by an ingress that knows no HOST with this path/,
  },
  {
    who: "an OAuth proxy: its sign-in page",
    ...{ status: 403, headers: html, kind: "unexpected" },
    body: '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Sign In</title><style>body{}</style></head><body><form method="GET" action="/oauth2/start"><button type="submit">Sign in with OpenID Connect</button></form></body></html>',
    sentence: /^403 by a sign-in page of what stands before MLflow: give MLFLOW_KSERVE_MLFLOW_TRACKING_URI an address/,
  },
  {
    who: "a sign-in page that says 200",
    ...{ status: 200, headers: html, kind: "unexpected" },
    body: "<html><head><title>Log in to your account</title></head><body><script>start()</script></body></html>",
    sentence: /^200 by a sign-in page of what stands before MLflow/,
  },
  {
    who: "an OAuth proxy: to the identity provider",
    ...{ status: 302, body: '<a href="https://idp.example.com/authorize?state=geheim">Found</a>.', kind: "unexpected" },
    headers: { ...html, location: "https://idp.example.com/authorize?client_id=mlflow&state=geheim" },
    sentence: /^redirected to https:\/\/idp\.example\.com\/authorize; set .* before which nobody has to sign in$/,
  },
  {
    who: "Google's Identity-Aware Proxy",
    ...{ status: 401, headers: html, body: "Invalid IAP credentials: empty token", kind: "unexpected" },
    sentence: /^401 by a sign-in page of what stands before MLflow.*MLFLOW_TRACKING_TOKEN/,
  },
  {
    who: "Istio: forbidden by an AuthorizationPolicy",
    ...{ status: 403, headers: envoy, body: "RBAC: access denied", kind: "unexpected" },
    sentence: /^403 \(RBAC: access denied\): a service mesh forbids the call; .*ServiceAccount.*AuthorizationPolicy/,
  },
  {
    who: "Istio: a token is demanded",
    ...{ status: 401, body: "Jwt is missing", kind: "unauthorized" },
    headers: { ...envoy, "www-authenticate": 'Bearer realm="http://mlflow/x"' },
    sentence: /^401 \(Jwt is missing\): a service mesh or gateway wants a token.*MLFLOW_TRACKING_TOKEN/,
  },
  {
    who: "Istio or Envoy: no pod that is ready",
    ...{ status: 503, headers: envoy, body: "no healthy upstream", kind: "unexpected" },
    sentence: /^503 by Envoy \(no healthy upstream\): .*check that MLflow's pods run/,
  },
  {
    who: "Istio or Envoy: no connection",
    ...{ status: 503, headers: envoy, kind: "unexpected" },
    body: "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure",
    sentence: /^503 by Envoy \(upstream connect error .*remote connection failure\): .*mutual TLS$/,
  },
  {
    who: "Istio or Envoy: no route for the host",
    ...{ status: 404, headers: { server: "envoy" }, body: "", kind: "unexpected" },
    sentence: /^404 by an ingress that knows no HOST with this path/,
  },
  {
    who: "AWS's load balancer: nothing behind it",
    ...{ status: 503, headers: alb, body: page("503 Service Temporarily Unavailable", ""), kind: "unexpected" },
    sentence: /^503 by a load balancer, which gets no answer of MLflow/,
  },
  {
    who: "AWS's load balancer: its firewall",
    ...{ status: 403, headers: alb, body: page("403 Forbidden", ""), kind: "unexpected" },
    sentence: /^403 by a load balancer or firewall before MLflow, not by MLflow/,
  },
  {
    who: "Google's load balancer: nothing behind it",
    ...{ status: 502, headers: html, kind: "unexpected" },
    body: "<html><head><title>502 Server Error</title></head><body><h1>Error: Server Error</h1><h2>The server encountered a temporary error and could not complete your request.<p>Please try again in 30 seconds.</h2></body></html>",
    sentence: /^502 by a load balancer, which gets no answer of MLflow/,
  },
  {
    who: "Azure's application gateway: nothing behind it",
    ...{ status: 502, headers: { server: "Microsoft-Azure-Application-Gateway/v2", ...html }, kind: "unexpected" },
    body: page("502 Bad Gateway", "Microsoft-Azure-Application-Gateway/v2"),
    sentence: /^502 by a load balancer, which gets no answer of MLflow/,
  },
  {
    who: "a limit of calls",
    ...{ status: 429, headers: plain, body: "slow down", kind: "unexpected" },
    sentence: /^429 by a limit of what stands before MLflow/,
  },
  {
    who: "somebody else",
    ...{ status: 403, headers: { "content-type": "application/json" }, body: '{"message":"Forbidden"}' },
    kind: "unexpected",
    sentence:
      /^403 by what is not MLflow \(23 bytes \(application\/json, "\{"message":"Forbidden"\}"\)\); find out what/,
  },
  {
    who: "MLflow with basic auth: an account that is gone",
    status: 404,
    headers: { server: "uvicorn", "content-type": "application/json" },
    body: '{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "User with username=mod not found"}',
    kind: "unauthorized",
    sentence:
      /^404 RESOURCE_DOES_NOT_EXIST: User .*; MLflow's authentication has no such account any more: make it again, or check MLFLOW_TRACKING_USERNAME/,
  },
  {
    who: "nginx: plain HTTP where it speaks HTTPS",
    status: 400,
    headers: nginx,
    body: page("400 The plain HTTP request was sent to HTTPS port", "nginx/1.27.3"),
    kind: "unexpected",
    sentence: /^400 because HOST speaks HTTPS: begin MLFLOW_KSERVE_MLFLOW_TRACKING_URI with https:/,
  },
  {
    who: "nginx: no certificate of ours",
    status: 400,
    headers: nginx,
    body: page("400 No required SSL certificate was sent", "nginx/1.27.3"),
    kind: "unexpected",
    sentence: /^400 because a certificate of ours is demanded: give one .* MLFLOW_TRACKING_CLIENT_CERT_PATH$/,
  },
  {
    who: "HAProxy or OpenShift's router: nothing behind it",
    status: 503,
    headers: { "content-type": "text/html" },
    body: "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>\n",
    kind: "unexpected",
    sentence: /^503 by a load balancer, which gets no answer of MLflow: check that MLflow's pods run and are ready$/,
  },
  {
    who: "a forward proxy (Squid): no user and password",
    status: 407,
    headers: { ...squid, "proxy-authenticate": 'Basic realm="proxy"' },
    body: squidPage("Cache Access Denied", "Cache Access Denied."),
    kind: "unexpected",
    sentence:
      /^407 by a proxy, which wants a user and password: give them in its URL, as http:..user:password@host:port$/,
  },
  {
    who: "a forward proxy (Squid): MLflow's host is not allowed",
    ...{ status: 403, headers: squid, body: squidPage("The requested URL could not be retrieved", "Access Denied.") },
    kind: "unexpected",
    sentence:
      /^403 by a proxy, not by MLflow: let this module's calls of HOST through there, .* or add HOST to NO_PROXY$/,
  },
  {
    who: "a forward proxy (Squid): no connection to MLflow",
    status: 503,
    headers: squid,
    body: squidPage("The requested URL could not be retrieved", "Connection to 127.0.0.1 failed."),
    kind: "unexpected",
    sentence:
      /^503 by a proxy, which gets no connection to MLflow: .* that the proxy can reach HOST, or add HOST to NO_PROXY$/,
  },
  {
    who: "a forward proxy (tinyproxy): a wrong password",
    status: 401,
    headers: { ...tinyproxy, "www-authenticate": 'Basic realm="Tinyproxy"' },
    body: "<html>\n<head><title>401 Unauthorized</title></head>\n<body>\n<h1>Unauthorized</h1>\n<p>The administrator of this proxy has not configured it to service requests from you.</p>\n<hr />\n<p><em>Generated by tinyproxy version 1.11.1.</em></p>\n</body>\n</html>\n",
    kind: "unexpected",
    sentence:
      /^401 by a proxy, not by MLflow: .* check the user and password in the proxy's URL, or add HOST to NO_PROXY$/,
  },
];
