import { describe, expect, it } from "vitest";
import { MlflowError } from "./errors";
import type { MlflowErrorFacts } from "./errors";
import { refusalOf } from "./refusals";
import { adviceFor } from "./registration-advice";
import type { RegistrationFailure } from "./registration-advice";
import { INVALID_HOST, NOT_AUTHENTICATED } from "../../test/support/unit/recorded-answers";
import type { DeliveryTest } from "./webhook-answers";

const ABOUT = { name: "mlflow-kserve", url: "http://module.svc/webhook" };

const call = (facts: MlflowErrorFacts, step: "registration" | "test" = "registration"): RegistrationFailure => {
  const { status } = facts;
  if (status === undefined)
    return { kind: "call", step, error: new MlflowError("unreachable", "…", undefined, { facts }) };
  const { kind, sentence } = refusalOf({ call: "GET /api/2.0/mlflow/webhooks", host: "mlflow:5000", ...facts, status });
  return { kind: "call", step, error: new MlflowError(kind, sentence, facts.code, { facts }) };
};
const refused = (reason: string, code = "INVALID_PARAMETER_VALUE"): RegistrationFailure =>
  call({ status: 400, code, reason });
const page = (status: number, excerpt: string): RegistrationFailure =>
  call({ status, contentType: "text/html", size: 207, excerpt });
const undelivered = (error: string): RegistrationFailure => ({
  kind: "delivery",
  test: { success: false, response_body: "", error_message: `Failed to test webhook: ${error}` },
});
const answered = (status: number, body: unknown): RegistrationFailure => {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const test: DeliveryTest = {
    success: status < 400,
    response_status: status,
    response_body: text,
    error_message: "",
  };
  return { kind: "delivery", test };
};
const errorBody = (message: string): unknown => ({ status: "error", message });

// Texts as MLflow 3.17.2 with requests 2.34 and urllib3 2.8 gives them.
const PRIVATE = "Webhook URL must not resolve to a non-public IP address. '10.0.0.7' resolves to 10.0.0.7.";
const SCHEME = "Invalid webhook URL scheme: 'http'. Allowed schemes are: https.";
const poolError = (cause: string): string =>
  String.raw`ConnectionError(MaxRetryError('_SSRFProtectedHTTPConnectionPool(host=\'module.svc\', port=80): Max retries exceeded with url: /webhook?token=abc (Caused by ${cause})'))`;
const sslError = (cause: string): string =>
  `SSLError(MaxRetryError("_SSRFProtectedHTTPSConnectionPool(host='module.svc', port=443): Max retries exceeded with url: /webhook (Caused by SSLError(${cause}))"))`;
const verification = (why: string): string =>
  sslError(
    `SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: ${why} (_ssl.c:1006)')`,
  );

const CASES: [string, RegistrationFailure, cause: RegExp, cure: RegExp][] = [
  [
    "http at registration",
    refused(SCHEME),
    /refuses http URLs/,
    /MLFLOW_WEBHOOK_ALLOWED_SCHEMES=http,https .*MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS=true .*https URL in MLFLOW_KSERVE/,
  ],
  [
    "http at delivery",
    undelivered(`MlflowException("${SCHEME}")`),
    /refuses http URLs/,
    /MLFLOW_WEBHOOK_ALLOWED_SCHEMES/,
  ],
  [
    "a private address at registration",
    refused(PRIVATE),
    /refuses 10\.0\.0\.7 because it is a private address/,
    /MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS=true on the MLflow server/,
  ],
  [
    "a private address at connection",
    undelivered(
      "SSRFProtectionError('Webhook connection blocked: 10.0.0.7 is not a public IP address. This may indicate a DNS rebinding attempt.')",
    ),
    /refuses 10\.0\.0\.7/,
    /MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS=true/,
  ],
  [
    "an unknown host at registration",
    refused("Cannot resolve Webhook URL hostname 'module.svc': [Errno -2] Name or service not known"),
    /cannot resolve the host name in http:\/\/module\.svc/,
    /check .*WEBHOOK_URL/,
  ],
  [
    "an unknown host at delivery",
    undelivered(
      poolError(
        String.raw`NameResolutionError("_SSRFProtectedHTTPConnection(host=\'module.svc\', port=80): Failed to resolve \'module.svc\' ([Errno -2] Name or service not known)")`,
      ),
    ),
    /cannot resolve the host name/,
    /Service/,
  ],
  [
    "slow name resolution",
    refused("Timed out resolving Webhook URL hostname 'module.svc' after 5 seconds"),
    /cannot resolve the host name/,
    /Service/,
  ],
  [
    "a wrong name",
    refused("Webhook name '-x' is invalid. It must start and end with a letter or digit, be less than 63 …"),
    /does not take -x/,
    /MLFLOW_KSERVE_MLFLOW_WEBHOOK_NAME/,
  ],
  ["a URL without a host", refused("Webhook URL must include a hostname: 'http:///x'"), /cannot read/, /correct .*URL/],
  [
    "an impossible port",
    undelivered("InvalidURL('Failed to parse: http://127.0.0.1:99999/')"),
    /cannot read/,
    /correct .*URL/,
  ],
  [
    "a refused connection",
    undelivered(
      poolError(
        String.raw`NewConnectionError("_SSRFProtectedHTTPConnection(host=\'module.svc\', port=80): Failed to establish a new connection: [Errno 111] Connection refused")`,
      ),
    ),
    /nothing listens at http:\/\/module\.svc\/webhook/,
    /Service has endpoints/,
  ],
  [
    "no answer",
    undelivered(poolError(`ReadTimeoutError("…(host='module.svc', port=80): Read timed out. (read timeout=30)")`)),
    /no answer in time/,
    /NetworkPolicy/,
  ],
  [
    "no connection",
    undelivered(
      poolError(
        `ConnectTimeoutError(…, 'Connection to module.svc timed out. (connect timeout=30)')`.replaceAll("'", "\\'"),
      ),
    ),
    /gets no connection/,
    /NetworkPolicy/,
  ],
  [
    "a closed connection",
    undelivered(
      poolError("ProtocolError('Connection aborted.', RemoteDisconnected('Remote end closed connection without …'))"),
    ),
    /closed without an answer/,
    /https/,
  ],
  [
    "an unknown CA",
    undelivered(verification("unable to get local issuer certificate")),
    /does not trust the certificate/,
    /python -m certifi.*ignores REQUESTS_CA_BUNDLE and SSL_CERT_FILE/,
  ],
  [
    "another name in the certificate",
    undelivered(verification("Hostname mismatch, certificate is not valid for 'module.svc'.")),
    /for another name/,
    /subjectAltName/,
  ],
  [
    "another address in the certificate",
    undelivered(verification("IP address mismatch, certificate is not valid for '10.0.0.7'.")),
    /for another name/,
    /subjectAltName/,
  ],
  ["an old certificate", undelivered(verification("certificate has expired")), /has expired/, /renew it/],
  [
    "no TLS",
    undelivered(sslError("SSLError(1, '[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)')")),
    /finds no TLS/,
    /TLS_CERT_FILE/,
  ],
  [
    "our 401 for the secret",
    answered(401, errorBody("the signature does not match: MLflow's webhook and this module hold different secrets")),
    /401 \(the signature does not match.*different secrets/,
    /all replicas the same secret/,
  ],
  [
    "our 401 for the clock",
    answered(401, errorBody("the timestamp is 900 s old, more than 300 s: a replayed delivery, or clocks that differ")),
    /401 \(the timestamp is 900 s old/,
    /set the clocks/,
  ],
  ["our 503", answered(503, errorBody("shutting down")), /503 \(shutting down\)/, /see its log/],
  ["a foreign 401", answered(401, "Please log in"), /with 401\) is not this module/, /what stands between/],
  ["a foreign 404", answered(404, "404 page not found"), /with 404\) is not this module/, /\/webhook/],
  ["a foreign page", answered(200, "<html>Welcome</html>"), /with 200\) is not this module/, /\/webhook/],
  ["a foreign JSON", answered(200, { ok: true }), /is not this module/, /\/webhook/],
  [
    "several keys",
    { kind: "keys", readable: 5, unreadable: 11 },
    /cannot decrypt each other's webhook secrets/,
    /MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY .*one Fernet key, the same for all its processes.*Fernet\.generate_key/,
  ],
  [
    "another key",
    { kind: "keys", readable: 0, unreadable: 16 },
    /cannot decrypt the secret of a webhook that it holds/,
    /former key.*Fernet\.generate_key.*UPDATE webhooks SET deleted_timestamp = 1 WHERE name = 'mlflow-kserve'/,
  ],
  [
    "a newer MLflow that checks for the key",
    refused("Set MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY to use webhook secrets."),
    /cannot keep a webhook's secret/,
    /Fernet\.generate_key/,
  ],
  [
    "an MLflow without webhooks",
    page(404, "404 Not Found Not Found The requested URL was not found on the server."),
    /has no webhooks/,
    /3\.3 or newer.*TRACKING_URI.*DISABLE_WEBHOOKS=true/,
  ],
  [
    "a file store",
    page(500, "500 Internal Server Error Internal Server Error The server encountered an internal error"),
    /file store/,
    /--backend-store-uri.*DISABLE_WEBHOOKS=true/,
  ],
  [
    "a user who is no administrator",
    page(403, "Permission denied"),
    /only its administrators/,
    /MLFLOW_TRACKING_USERNAME/,
  ],
  ["wrong credentials", page(401, NOT_AUTHENTICATED), /does not know the user/, /check MLFLOW_TRACKING_USERNAME/],
  [
    "a host name that MLflow does not know",
    call({ status: 403, contentType: "text/plain", excerpt: INVALID_HOST }),
    /refuses to be called as mlflow:5000/,
    /add mlflow:5000 to MLFLOW_SERVER_ALLOWED_HOSTS on the MLflow server/,
  ],
  [
    "a mesh that forbids it",
    call({ status: 403, contentType: "text/plain", excerpt: "RBAC: access denied", server: "envoy" }),
    /service mesh forbids/,
    /AuthorizationPolicy/,
  ],
  [
    "a 404 of an ingress",
    call({ status: 404, contentType: "text/plain", excerpt: "default backend - 404" }),
    /ingress that knows no mlflow:5000/,
    /MLFLOW_KSERVE_MLFLOW_TRACKING_URI/,
  ],
  [
    "a webhook that others delete",
    refused("Webhook with ID 1 not found.", "RESOURCE_DOES_NOT_EXIST"),
    /was deleted in MLflow while/,
    /find out who deletes it/,
  ],
  [
    "a test call that never ends",
    call({ timedOut: true }, "test"),
    /did not end its test delivery in time/,
    /NetworkPolicy/,
  ],
  [
    "MLflow being down",
    {
      kind: "call",
      step: "test",
      error: new MlflowError("unreachable", "MLflow cannot be reached: connect ECONNREFUSED; check that it runs and …"),
    },
    /cannot be reached/,
    /check that it runs/,
  ],
  ["anything else", refused("no such thing"), /MLflow says: .*no such thing/, /.*/],
];

describe("adviceFor", () => {
  it.each(CASES)("names cause and cure of %s", (_, failure, cause, cure) => {
    const advice = adviceFor(failure, ABOUT);
    expect(advice).toMatch(cause);
    expect(advice).toMatch(cure);
    expect(advice).not.toContain("\n");
    expect(advice).not.toContain("token=abc");
  });

  it("gives the known causes their own advice, and no text that MLflow happened to send", () => {
    const known = CASES.filter(([what]) => what !== "anything else").map(([, failure]) => adviceFor(failure, ABOUT));
    expect(known.filter(advice => advice.startsWith("MLflow says"))).toEqual([]);
  });

  it("shows neither credentials in a URL nor the parameters of a database statement", () => {
    const text = "(psycopg2.errors.X) too long\n[SQL: INSERT …]\n[parameters: {'secret': 'gAAAA'}]";
    expect(adviceFor(refused(text, "INTERNAL_ERROR"), ABOUT)).not.toMatch(/gAAAA|INSERT/);
    const url = "odd: http://user:pass@host/x?signature=abc 'y'";
    expect(adviceFor(undelivered(url), ABOUT)).toBe(
      "MLflow says: Failed to test webhook: odd: http://***@host/x?*** 'y'",
    );
  });

  it("repeats nothing that another server answers", () => {
    expect(adviceFor(answered(200, "a secret page"), ABOUT)).not.toContain("secret page");
  });

  it("cuts what is long", () => {
    expect(adviceFor(refused("x".repeat(10_000)), ABOUT).length).toBeLessThan(450);
  });
});
