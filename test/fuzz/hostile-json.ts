import fc from "fast-check";
import { HOSTILE_TEXTS, hostileText } from "../arbitraries";

/** Keys that mean something to JavaScript, to the event, or to neither. */
const KEYS = [
  ...["entity", "action", "timestamp", "data", "workspace", "name", "version", "key", "value", "run_id"],
  ...["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "valueOf", "then", "length", "toJSON", ""],
];

/** Numbers as JSON may have them, most of them more than JavaScript's can hold. */
const NUMBERS = [
  ...["0", "-0", "1", "1.0", "1e0", "10e-1", "1.5", "-1", "1e400", "-1e400", "1e-400", "9007199254740993", "1E+2"],
  ...["9999999999", "10000000000", `1${"0".repeat(400)}`, `0.${"3".repeat(400)}`, "123456789012345678901234567890"],
];

/** What is almost JSON. */
const BROKEN = ["", "NaN", "Infinity", "01", "+1", "1.", ".5", "'a'", "undefined", "tru", "[1,]", "{,}", '{"a":}', '"'];

/** A text as a JSON string, in one of the ways to write it: with escapes, or as it is (which UTF-8 then garbles). */
function quoted(text: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.tuple(text, fc.boolean()).map(([value, escaped]) => {
    const json = JSON.stringify(value);
    if (!escaped) return json;
    const units = Array.from({ length: value.length }, (_, at) => value.charCodeAt(at));
    return `"${units.map(unit => `\\u${unit.toString(16).padStart(4, "0")}`).join("")}"`;
  });
}

/** Nested deeper than a recursive reader could go. */
const DEEP = [
  "[".repeat(100_000) + "]".repeat(100_000),
  '{"a":'.repeat(100_000) + "1" + "}".repeat(100_000),
  '{"__proto__":'.repeat(50_000) + "1" + "}".repeat(50_000),
  "[".repeat(500_000),
];

const scalar = (): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 6, arbitrary: quoted(hostileText()) },
    { weight: 2, arbitrary: fc.constantFrom(...NUMBERS) },
    { weight: 2, arbitrary: fc.constantFrom("null", "true", "false", "{}", "[]") },
    { weight: 1, arbitrary: fc.constantFrom(...BROKEN) },
  );

const key = (): fc.Arbitrary<string> =>
  fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...KEYS) }, { weight: 1, arbitrary: hostileText() });

const mapping = (entries: fc.Arbitrary<readonly (readonly [string, string])[]>): fc.Arbitrary<string> =>
  entries.map(list => `{${list.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join()}}`);

/** Any JSON, and what is almost JSON, as text: keys may be repeated, and everything may be nested. */
export function jsonText(): fc.Arbitrary<string> {
  const { value } = fc.letrec<{ value: string; list: string; mapping: string }>(tie => ({
    value: fc.oneof({ maxDepth: 4 }, scalar(), tie("list"), tie("mapping")),
    list: fc.array(tie("value"), { maxLength: 3 }).map(items => `[${items.join()}]`),
    mapping: mapping(fc.array(fc.tuple(key(), tie("value")), { maxLength: 5 })),
  }));
  return fc.oneof(
    { weight: 300, arbitrary: value },
    { weight: 1, arbitrary: fc.constantFrom(...DEEP) },
    { weight: 2, arbitrary: quoted(fc.nat(200_000).map(length => "x".repeat(length))) },
  );
}

/** Mostly what is given, now and then anything. */
function mostly(usual: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.oneof({ weight: 9, arbitrary: usual }, { weight: 1, arbitrary: jsonText() });
}

/**
 * The JSON of a delivery about a tag in which each part is now and then hostile, missing, repeated, or joined by parts
 * that do not belong there. Models are those given, or have hostile names.
 */
export function eventText(models: readonly string[]): fc.Arbitrary<string> {
  const model = fc.oneof(
    fc.constantFrom(...models).map(name => JSON.stringify(name)),
    quoted(hostileText()),
    quoted(fc.constantFrom(...HOSTILE_TEXTS)),
    quoted(fc.nat(3000).map(length => "n".repeat(length))),
  );
  const parts: readonly (readonly [string, fc.Arbitrary<string>])[] = [
    ["name", mostly(model)],
    ["version", mostly(fc.constantFrom('"1"', "1", '"2"', '"9999999999"', "2147483648"))],
    ["key", mostly(fc.constant('"deploy"'))],
    ["value", mostly(fc.constantFrom('"true"', '"false"', "null"))],
  ];
  const timestamp = fc.constantFrom('"2026-01-01T00:00:00Z"', "1760000000", "1.76e12");
  const outer: readonly (readonly [string, fc.Arbitrary<string>])[] = [
    ["entity", mostly(fc.constant('"model_version_tag"'))],
    ["action", mostly(fc.constantFrom('"set"', '"deleted"'))],
    ["timestamp", mostly(timestamp)],
    ["data", mostly(withExtras(parts))],
  ];
  return withExtras(outer);
}

/** A mapping of these parts, in any order, some left out or repeated, and others between them. */
function withExtras(parts: readonly (readonly [string, fc.Arbitrary<string>])[]): fc.Arbitrary<string> {
  const entries = parts.map(([name, value]) => fc.tuple(fc.constant(name), value));
  const extras = fc.oneof(
    { weight: 3, arbitrary: fc.constant<[string, string][]>([]) },
    { weight: 1, arbitrary: fc.array(fc.tuple(key(), jsonText()), { maxLength: 3 }) },
  );
  // A part in twenty is missing.
  const kept = fc.tuple(...entries.map(() => fc.integer({ min: 0, max: 19 })));
  return mapping(
    fc.tuple(fc.tuple(...entries), kept, extras, fc.boolean()).map(([all, lots, more, first]) => {
      const present = all.filter((_, at) => lots[at] !== 19);
      return first ? [...more, ...present] : [...present, ...more];
    }),
  );
}

/** The bytes of a text in one of the ways that a sender could mean, UTF-8 with nothing around it being the usual one. */
export function encoded(text: fc.Arbitrary<string>): fc.Arbitrary<Buffer> {
  const ways: readonly ((text: string) => Buffer)[] = [
    text => Buffer.from(`\ufeff${text}`),
    text => Buffer.from(text, "utf16le"),
    text => Buffer.from(text, "latin1"),
    text => Buffer.from(`${text}\0`),
    text => Buffer.from(text + text),
    text => Buffer.from(text).subarray(0, -1),
    text => Buffer.concat([Buffer.from(text), Buffer.from([0xff, 0xfe])]),
    // Overlong and surrogate forms, which a lenient reader would take.
    text =>
      Buffer.from(Buffer.from(text).toString("latin1").replace("a", "\xc1\xa1").replace("e", "\xed\xa0\x80"), "latin1"),
  ];
  return fc.oneof(
    { weight: 12, arbitrary: text.map(value => Buffer.from(value)) },
    { weight: 2, arbitrary: fc.tuple(text, fc.constantFrom(...ways)).map(([value, way]) => way(value)) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map(bytes => Buffer.from(bytes)) },
  );
}
