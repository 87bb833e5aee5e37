const SUFFIX_FACTORS: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

const QUANTITY = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:(?<suffix>[numkMGTPE]|[KMGTPE]i)|[eE](?<exponent>[+-]?\d{1,3}))?$/;

/**
 * The value of a Kubernetes quantity such as `100m`, `2Gi` or `1e3`, in its base unit (cores, bytes). Floating point,
 * which is exact enough to compare two quantities that a person wrote.
 *
 * The grammar is that of `k8s.io/apimachinery/pkg/api/resource.ParseQuantity`.
 *
 * @returns undefined when the text is no quantity
 */
export function parseQuantity(text: string): number | undefined {
  const match = QUANTITY.exec(text);
  if (!match) return undefined;
  const { suffix = "", exponent } = match.groups ?? {};
  const digits = suffix === "" ? text : text.slice(0, -suffix.length);
  const factor = exponent === undefined ? (SUFFIX_FACTORS[suffix] ?? Number.NaN) : 1;
  return Number(digits) * factor;
}
