import { randomUUID } from "node:crypto";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { hostileText } from "../arbitraries";
import { encoded, eventText, jsonText } from "./hostile-json";
import { signedHeaders, TARGETS } from "./plain-request";

const METHODS = [
  ...["GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PRI", "SEARCH", "PROPFIND"],
  ...["get", "Post", "P\0ST", "", " ", "GET\t", "POST,GET", "M".repeat(10_000), "\xff"],
];

const VERSIONS = ["HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "HTTP/9.9", "http/1.1", "HTTP/1.1 x", "HTTP/", "", "HTTP/1.1\0"];

const HEADERS = [
  ...[
    "Host: x",
    "Host: y",
    "Host:",
    "host:x:y:z",
    "HOST: \xff",
    "Host : x",
    "Connection: keep-alive",
    "Connection: close",
  ],
  ...["Connection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", "Upgrade: websocket"],
  ...[
    "Expect: 100-continue",
    "Expect: 200-ok",
    "Expect: 100-continue, 100-continue",
    "Range: bytes=0-",
    "TE: trailers",
  ],
  ...["Content-Type: application/json", "content-type: APPLICATION/JSON; charset=UTF-8", "Content-Type: text/plain"],
  ...["Content-Type: application/json; charset=utf-7", "Content-Type:", "Content-Type: application/json\0"],
  ...["Content-Encoding: gzip", "Content-Encoding: identity", "Content-Encoding: deflate, br", "Content-Encoding:"],
  ...["X-MLflow-Signature: v1,AAAA", "X-MLflow-Signature:", "x-mlflow-signature: v1,", "X-MLFLOW-SIGNATURE: \xff v1,"],
  ...["X-MLflow-Timestamp: 1", "X-MLflow-Timestamp: -1e9", "X-MLflow-Delivery-Id: a b", "X-MLflow-Delivery-Id: \x01"],
  ...["__proto__: x", "constructor: x", "prototype: x", "hasOwnProperty: x", ": x", "x", " folded: x", "\tx", "a b: c"],
  ...[
    "X: \0",
    "X: a\rb",
    "X: a\nInjected: b",
    `X: ${"x".repeat(20_000)}`,
    "X: \x7f",
    "X\xe9: y",
    "X:" + " ".repeat(9000),
  ],
  ...[Array.from({ length: 3000 }, (_, at) => `A${at}: b`).join("\r\n"), `${"N".repeat(17_000)}: x`],
];

/** How long a body is said to be; `#` stands for the truth. */
const LENGTHS = ["#", "0", "1", "#, #", "-1", "+#", "0x10", "1e3", "1048577", "99999999999999999999", "", "# #", "NaN"];

const CHUNKS = [
  ...[
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "zz\r\n",
    "-1\r\n\r\n",
    "fffffffffffffffff\r\n",
    "5\r\nhel",
    "5\nhello\n",
    "5hello",
  ],
  ...[
    "1;a=b\r\nx\r\n",
    `1;${"e".repeat(20_000)}\r\nx\r\n`,
    "0\r\nTrailer: x\r\n\r\n",
    "0\r\n__proto__: x\r\n\r\n",
    "\r\n",
  ],
  ...[
    "0x5\r\nhello\r\n",
    " 5\r\nhello\r\n",
    "00000000000000000005\r\nhello\r\n",
    `0\r\n${"T: x\r\n".repeat(4000)}\r\n`,
    "0\r\n",
  ],
];

/** A text of a head, whose characters are bytes. */
const bytes = (text: string): Buffer => Buffer.from(text, "latin1");

/** Mostly what is given, in one case of six anything of a list, or a hostile text. */
function mostly(usual: fc.Arbitrary<string>, others: readonly string[]): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 15, arbitrary: usual },
    { weight: 2, arbitrary: fc.constantFrom(...others) },
    { weight: 1, arbitrary: hostileText().map(text => Buffer.from(text).toString("latin1")) },
  );
}

interface Framed {
  readonly header: string;
  readonly sent: Buffer;
}

/** The ways to say where a body ends, wrong ones included. */
function framed(body: Buffer): fc.Arbitrary<Framed> {
  const chunked = (size: number): Buffer => {
    const parts: Buffer[] = [];
    for (let at = 0; at < body.length; at += size) {
      const part = body.subarray(at, at + size);
      parts.push(bytes(`${part.length.toString(16)}\r\n`), part, bytes("\r\n"));
    }
    return Buffer.concat([...parts, bytes("0\r\n\r\n")]);
  };
  const lengths = fc
    .constantFrom(...LENGTHS)
    .map(length => ({ header: `Content-Length: ${length.replaceAll("#", String(body.length))}`, sent: body }));
  return fc.oneof(
    { weight: 5, arbitrary: fc.constant({ header: `Content-Length: ${body.length}`, sent: body }) },
    { weight: 2, arbitrary: lengths },
    {
      weight: 2,
      arbitrary: fc.integer({ min: 1, max: 300 }).map(size => ({
        header: "Transfer-Encoding: chunked",
        sent: chunked(Math.max(size, Math.ceil(body.length / 2000))),
      })),
    },
    {
      weight: 2,
      arbitrary: fc
        .tuple(
          fc.constantFrom("chunked", "gzip, chunked", "chunked, identity", "Chunked\r\nContent-Length: 5", "xchunked"),
          fc.array(fc.constantFrom(...CHUNKS), { maxLength: 4 }),
        )
        .map(([coding, chunks]) => ({ header: `Transfer-Encoding: ${coding}`, sent: bytes(chunks.join("")) })),
    },
    { weight: 1, arbitrary: fc.constant({ header: "X-No-Length: x", sent: body }) },
  );
}

/** A body that is what its headers say, or is packed, or is said to be packed. */
function packed(body: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> {
  const ways: readonly ((body: Buffer) => Buffer)[] = [gzipSync, deflateSync, brotliCompressSync];
  return fc.oneof(
    { weight: 5, arbitrary: body },
    { weight: 1, arbitrary: fc.tuple(body, fc.constantFrom(...ways)).map(([content, pack]) => pack(content)) },
  );
}

/** Bytes of one connection. */
export interface RawRequest {
  /** Written one by one. */
  readonly pieces: readonly Buffer[];
  /** An answer to HEAD has no body. */
  readonly bodiless: boolean;
  [fc.toStringMethod]: () => string;
}

function rawRequest(pieces: readonly Buffer[]): RawRequest {
  const all = Buffer.concat(pieces).toString("latin1");
  return {
    pieces,
    bodiless: all.includes("HEAD "),
    [fc.toStringMethod]: () => `bytes(${JSON.stringify(all.length > 5000 ? `${all.slice(0, 5000)}…` : all)})`,
  };
}

/**
 * Requests as no HTTP client would send them: wrong in the request line, the headers, the framing or the bytes, some of
 * them signed correctly. The delivery id and the time are made when a request is generated.
 */
export function malformedRequest(secret: string): fc.Arbitrary<RawRequest> {
  const body = packed(
    encoded(fc.oneof({ weight: 4, arbitrary: eventText(["no-such-model"]) }, { weight: 1, arbitrary: jsonText() })),
  );
  const line = fc
    .tuple(
      mostly(fc.constantFrom("POST", "POST", "GET", "HEAD"), METHODS),
      mostly(fc.constantFrom("/webhook", "/webhook", "/livez", "/services"), TARGETS),
      mostly(fc.constant("HTTP/1.1"), VERSIONS),
    )
    .map(parts => parts.join(" "));
  const headers = fc.array(mostly(fc.constantFrom("Host: x", "X: y", "Accept: */*"), HEADERS), { maxLength: 5 });
  const whole = fc.tuple(line, headers, body, fc.boolean()).chain(([first, lines, content, signed]) =>
    framed(content).map(({ header, sent }) => {
      const correct = signed
        ? Object.entries(signedHeaders(secret, content, randomUUID(), String(Math.floor(Date.now() / 1000))))
        : [];
      const all = ["Host: x", ...correct.map(([name, value]) => `${name}: ${value}`), header, ...lines];
      return Buffer.concat([bytes(`${first}\r\n${all.join("\r\n")}\r\n\r\n`), sent]);
    }),
  );
  return fc.tuple(whole, damage()).map(([request, damaged]) => rawRequest(damaged(request)));
}

/** What happens to the bytes on their way: mostly nothing; they are cut, changed, doubled, or come in two pieces. */
function damage(): fc.Arbitrary<(request: Buffer) => Buffer[]> {
  // Not favouring the ends, as fast-check would: nothing but an empty request comes of them.
  const place = fc.noBias(fc.integer({ min: 1, max: 9999 }));
  const at = (request: Buffer, where: number): number => Math.floor((where / 10_000) * request.length);
  return fc.oneof(
    { weight: 5, arbitrary: fc.constant((request: Buffer) => [request]) },
    {
      weight: 1,
      arbitrary: place.map(where => (request: Buffer) => [
        request.subarray(0, at(request, where)),
        request.subarray(at(request, where)),
      ]),
    },
    { weight: 1, arbitrary: place.map(where => (request: Buffer) => [request.subarray(0, at(request, where))]) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(place, fc.uint8Array({ minLength: 1, maxLength: 4 }))
        .map(([where, noise]) => (request: Buffer) => [
          Buffer.concat([
            request.subarray(0, at(request, where)),
            noise,
            request.subarray(at(request, where) + noise.length),
          ]),
        ]),
    },
    {
      weight: 1,
      arbitrary: fc
        .integer({ min: 2, max: 20 })
        .map(times => (request: Buffer) => [
          Buffer.concat(Array<Buffer>(request.length > 20_000 ? 2 : times).fill(request)),
        ]),
    },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 500 }).map(noise => () => [Buffer.from(noise)]) },
  );
}
