/** A scalar as kubectl reads it: whole numbers are exact, whatever their size. */
export type Yaml11Scalar = string | bigint | number | boolean | null;

const WORDS: ReadonlyMap<string, Yaml11Scalar> = new Map<string, Yaml11Scalar>([
  ...["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"].map(word => [word, true] as const),
  ...["n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"].map(word => [word, false] as const),
  ...["", "~", "null", "Null", "NULL"].map(word => [word, null] as const),
  ...[".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"].map(word => [word, Infinity] as const),
  ...["-.inf", "-.Inf", "-.INF"].map(word => [word, -Infinity] as const),
  ...[".nan", ".NaN", ".NAN"].map(word => [word, NaN] as const),
]);

const FLOAT = /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/;
/** Go's own form, which is used where the first character is a point: underscores stand between digits only. */
const POINT_FIRST = /^\.\d+(?:_\d+)*(?:[eE][-+]?\d+(?:_\d+)*)?$/;
const WHOLE = /^([-+]?)(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|0[0-7]*|[1-9][0-9]*)$/;

const SMALLEST = -(2n ** 63n);
const LARGEST = 2n ** 63n - 1n;
const LARGEST_WITHOUT_SIGN = 2n ** 64n - 1n;

/**
 * The value of a plain scalar for kubectl and the API server: the rules of YAML 1.1 as sigs.k8s.io/yaml has them (the
 * function `resolve` of go.yaml.in/yaml/v2). It knows no numbers to the base 60, and its timestamps end as texts.
 *
 * @param source the scalar's text, without quotes
 */
export function readAsYaml11(source: string): Yaml11Scalar {
  const word = WORDS.get(source);
  if (word !== undefined) return word;
  if (source.startsWith("."))
    return (POINT_FIRST.test(source) ? float(source.replaceAll("_", "")) : undefined) ?? source;
  if (!/^[-+0-9]/.test(source)) return source;
  const plain = source.replaceAll("_", "");
  return wholeNumber(plain) ?? (FLOAT.test(plain) ? float(plain) : undefined) ?? source;
}

function wholeNumber(plain: string): bigint | undefined {
  // An oddity of go-yaml: behind this prefix stands a number, which may have its own sign.
  const [, sign, digits] = WHOLE.exec(plain.replace(/^0b([-+])(?=[01]+$)/, "$10b")) ?? [];
  if (sign === undefined || digits === undefined) return undefined;
  const size = BigInt(/^0[0-7]/.test(digits) ? `0o${digits}` : digits);
  const value = sign === "-" ? -size : size;
  return value >= SMALLEST && value <= (sign === "" ? LARGEST_WITHOUT_SIGN : LARGEST) ? value : undefined;
}

/** A number that is too large for a float is none, and so stays a text. */
function float(digits: string): number | undefined {
  const value = Number(digits);
  return Number.isFinite(value) ? value : undefined;
}
