import fc from "fast-check";
import { sign } from "../../capabilities/server/webhook/signature";
import { hostileText } from "../arbitraries";
import { encoded, jsonText } from "./hostile-json";

/** What can stand for a path in a request, not all of it in correct HTTP. */
export const TARGETS = [
  ...["/webhook", "/health", "/services", "/metrics", "/livez", "/readyz", "/", "", "*", "?", "//", "///webhook"],
  ...["//webhook", "/webhook/", "/./webhook", "/x/../webhook", "/%77ebhook", "/webhook%00", "/webhook%2f", "/Webhook"],
  ...["/webhook?x=%ff", "/webhook#f", "/webhook;a=b", "\\webhook", "webhook", "/%", "/%zz", "/%c0%ae%c0%ae/", "/\xff"],
  ...[
    "http://x/webhook",
    "http://x",
    "http://x?y",
    "https://u:p@h:99999/webhook",
    "http://[::1",
    "http:///livez",
    "x:y",
  ],
  ...["/__proto__", "/constructor", "/toString", "/hasOwnProperty", "__proto__", "/services?__proto__=1"],
  ...["/services?limit=1e9", "/services?limit=-1", "/services?limit=5&limit=6", "/services?limit[]=1", "/services?&=&"],
  ...[`/${"a".repeat(15_000)}`, `/${"a/".repeat(20_000)}`, `/services?${"limit=1&".repeat(1500)}`, "/livez HTTP/1.1 x"],
];

/** The headers of a correct delivery of a body. */
export function signedHeaders(secret: string, body: Buffer, id: string, timestamp: string): Record<string, string> {
  return {
    "content-type": "application/json",
    "x-mlflow-delivery-id": id,
    "x-mlflow-timestamp": timestamp,
    "x-mlflow-signature": sign(secret, id, timestamp, body),
  };
}

/** A request that an HTTP client can send. */
export interface PlainRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** Bytes that node:http takes as a header's value. */
function headerValue(): fc.Arbitrary<string> {
  return fc.oneof(
    fc.constantFrom("", "a", " ", "\t", "é", "\xff", "null", "__proto__", "../..", "%00", "x".repeat(2000)),
    hostileText().map(text =>
      Buffer.from(text)
        .toString("latin1")
        .replace(/[^\t\x20-\x7e\x80-\xff]/g, ""),
    ),
  );
}

const ID = fc.oneof(
  { weight: 6, arbitrary: fc.uuid() },
  { weight: 1, arbitrary: fc.constantFrom("a", "A-1", "x".repeat(128), "x".repeat(129), "a.b", "é", "a b", "0") },
);

/** What a timestamp's header can hold, from seconds after now. */
const TIMESTAMP = fc.oneof(
  {
    weight: 12,
    arbitrary: fc
      .integer({ min: -200, max: 200 })
      .map(seconds => Math.floor(Date.now() / 1000) + seconds)
      .map(String),
  },
  {
    weight: 1,
    arbitrary: fc.integer({ min: -1000, max: 1000 }).map(seconds => `${Math.floor(Date.now() / 1000) + seconds}.0`),
  },
  { weight: 1, arbitrary: fc.bigInt().map(String) },
  { weight: 1, arbitrary: fc.constantFrom("now", "1e9", "0x65", "-1", "Infinity", "2026-01-01T00:00:00Z") },
);

/** Deliveries that are signed correctly, over content of any form. */
export function signedDelivery(secret: string, content: fc.Arbitrary<Buffer>): fc.Arbitrary<PlainRequest> {
  return fc.tuple(content, ID, TIMESTAMP).map(([body, id, timestamp]) => ({
    method: "POST",
    target: "/webhook",
    headers: signedHeaders(secret, body, id, timestamp),
    body,
  }));
}

/** Requests of any path and method with hostile headers and bodies, in correct HTTP. */
export function plainRequest(secret: string): fc.Arbitrary<PlainRequest> {
  const target = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.constantFrom(
        ...TARGETS.filter(text => /^(\/|https?:\/\/\w)[!-~]*$/.test(text) && text.length < 9000),
      ),
    },
    { weight: 2, arbitrary: servicesTarget() },
    { weight: 1, arbitrary: fc.webPath({ size: "medium" }).map(path => path || "/") },
  );
  const names = [
    ...["content-type", "content-encoding", "x-mlflow-signature", "x-mlflow-timestamp", "x-mlflow-delivery-id"],
    ...["x-forwarded-for", "__proto__", "constructor", "accept-encoding", "origin", "x-http-method-override"],
  ];
  const odd = fc.dictionary(fc.constantFrom(...names), headerValue(), { maxKeys: 3 });
  return fc
    .tuple(
      signedDelivery(secret, encoded(jsonText())),
      target,
      fc.constantFrom("GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"),
      odd,
    )
    .map(([signed, place, method, others]) => {
      const bare = method === "GET" || method === "HEAD" || method === "TRACE";
      return {
        method,
        target: place,
        headers: { ...(bare ? {} : signed.headers), ...others },
        body: bare ? Buffer.alloc(0) : signed.body,
      };
    });
}

/** Pages of /services that nobody gave: `continue` goes to the API server, which reads base64 of JSON in it. */
function servicesTarget(): fc.Arbitrary<string> {
  const token = fc.oneof(
    hostileText(),
    jsonText().map(text => Buffer.from(text.slice(0, 2000)).toString("base64url")),
    fc
      .tuple(fc.constantFrom("meta.k8s.io/v1", "x", ""), fc.constantFrom("-1", "0", "1", "9e99", '"x"'), hostileText())
      .map(([v, rv, start]) =>
        Buffer.from(`{"v":"${v}","rv":${rv},"start":${JSON.stringify(start)}}`).toString("base64url"),
      ),
  );
  const limit = fc.oneof(fc.constantFrom("1", "500", "501", "0", "", "1e2"), hostileText());
  return fc.tuple(fc.option(limit), fc.option(token)).map(([count, next]) => {
    const query = new URLSearchParams();
    if (count !== null) query.set("limit", count);
    if (next !== null) query.set("continue", next);
    return `/services?${query.toString()}`;
  });
}
