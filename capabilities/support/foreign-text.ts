/** Characters of somebody else's text that are told; Kubernetes takes 1,024 for a whole Event. */
const MAXIMUM_LENGTH = 600;

/** Characters that are looked at of what is told in one line, and of any text. */
const LOOKED_AT = 8_000;
const CLEANED = 16_000;

/** Where a text is cut, as many more characters go as a secret may have: half of one is not recognised. */
const SECRET_LENGTH = 500;

const SECRET_NAME =
  /(?:password|passwd|passphrase|secret|token(?!s|iz)|signature|credential|(?:api|access|account|private)[-_. ]?key)/i
    .source;

/** The whole name around it, as of a setting or a header: fs.s3a.secret.key, MLFLOW_TRACKING_PASSWORD. */
const NAMED = `(?<![\\w.-])[\\w.-]{0,100}${SECRET_NAME}[\\w.-]{0,100}`;

/** A quote, which has a backslash before it in JSON that is in JSON. */
const QUOTE = `\\\\?["']`;

/**
 * What is a secret by its form, each with what is told instead. Names and prefixes as their issuers document them; more is
 * taken for a secret rather than less.
 */
const SECRETS: readonly (readonly [
  form: RegExp,
  instead: string | ((found: string, ...groups: string[]) => string),
])[] = [
  // A password before the host of a URL, whose last @ counts, and what is behind its question mark (signatures) or hash
  // (tokens). In Azure's, what stands before the @ is the container.
  [/(?<![a-z0-9+.-])((?!wasbs?:|abfss?:)[a-z][a-z0-9+.-]{0,30}:\/\/)[^\s/"'<>]{0,500}@/gi, "$1***@"],
  [/(?<![a-z0-9+.-])([a-z][a-z0-9+.-]{0,30}:\/\/[^\s"'<>?#]{0,2000})([?#])[^\s"'<>]+/gi, "$1$2***"],
  [/(%3A%2F%2F)[^\s&]{0,500}?%40/gi, "$1***%40"],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/gs, "***"],
  // Headers: Cookie: a=b; c=d, X-Amz-Security-Token: …, Authorization: Bearer …, also as Python and Java print them
  [/(?<![\w-])((?:set-)?cookie)(["']?\s*[:=]\s*)(?:"[^"\n]*"|'[^'\n]*'|(?![\s*"'])[^\n]+)/gi, "$1$2***"],
  [
    /(?<![\w-])((?:proxy-)?authorization|x-[\w-]{0,60}(?:token|key|secret|signature))(["']?\s*[:=,]\s*(?:b?["']|\[)?)(?:[a-z][\w-]*\s+)?[^\s"',;\]]+/gi,
    "$1$2***",
  ],
  [/\b(bearer|basic)\s+(?=[\w.~+/=-]*[\d=])[\w.~+/=-]{8,}/gi, "$1 ***"],
  // password=…, "client_secret": "…", AccountKey=…; sig=… of Azure, and the like in a query that is encoded
  [
    new RegExp(
      `((?:${NAMED}|(?<![\\w.-])(?:sig|pwd)))(\\s{0,4}(?:=|%3D)\\s{0,4}|${QUOTE}\\s{0,4}[:=]\\s{0,4})(?=[^\\s&;,)}\\]])(?:\\\\"[^"]*"|"[^"]*"|'[^']*')?[^\\s&;,"')}\\]]*`,
      "gi",
    ),
    "$1$2***",
  ],
  // MLFLOW_TRACKING_PASSWORD: …, of a setting where it is no word; password: '…'
  [
    new RegExp(
      `((?<![\\w.-])[A-Z][A-Z0-9_]{0,100}(?:PASSWORD|SECRET|TOKEN|_KEY)[A-Z0-9_]{0,100}\\s{0,4}:\\s{0,4})(?=[A-Za-z.-]*[^\\sA-Za-z.*-])\\S+`,
      "g",
    ),
    "$1***",
  ],
  [new RegExp(`(${NAMED}\\s{0,4}:\\s{0,4})("[^"\\n]*"|'[^'\\n]*')`, "gi"), "$1***"],
  // HF_TOKEN: …, the password is "…", access_token …: in prose only what no word and no name of an object is.
  [
    new RegExp(
      `((?<![\\w.-])[\\w.-]{0,100}${SECRET_NAME}[\\w-]{0,100}["']?(?:\\s*[:=]\\s*|\\s+(?:(?:is|was|of)\\s+)?)["']?)([\\w+/=.~-]{6,})`,
      "gi",
    ),
    (found, before = "", value = "") => (looksRandom(value, /[:=]\s*["']?$/.test(before)) ? `${before}***` : found),
  ],
  // Options of commands: --password …, curl -u user:…
  [
    new RegExp(`((?<![\\w-])--?[\\w-]{0,100}${SECRET_NAME}[\\w-]{0,100}(?:\\s+|=)["']?)(?![\\s-])[^\\s"']+`, "gi"),
    "$1***",
  ],
  [/((?<![\w-])(?:-u|--user)[ =]+["']?[^\s:"']+:)[^\s"']+/g, "$1***"],
  [/(;jsessionid=)[^\s?#;"'<>]+/gi, "$1***"],
  // JSON Web Tokens; keys of AWS; tokens of GitHub, GitLab, Google, Hugging Face, Databricks, Slack, OpenAI
  [/(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)*/g, "***"],
  [/\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g, "***"],
  [/\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|ya29\.[\w-]{16,}|hf_\w{20,})/g, "***"],
  [
    /\b(?:AIza[\w-]{30,}|1\/\/0[\w-]{20,}|hvs\.[\w-]{20,}|npm_\w{30,}|pypi-[\w-]{20,}|dckr_pat_[\w-]{20,}|nvapi-[\w-]{20,})/g,
    "***",
  ],
  [/\bIQoJb3[\w+/=]{20,}/g, "***"],
  [/\b(?:dapi[0-9a-f]{32}|xox[abprs]-[\w-]{10,}|sk-[\w-]{20,})/g, "***"],
];

/**
 * A text without what looks like a secret: credentials and queries of URLs, values of headers and fields whose name says that
 * they are secret, tokens of known form. Doing it twice changes nothing more.
 */
export function withoutSecrets(text: string): string {
  let clean = beginningOf(text, CLEANED);
  for (const [form, instead] of SECRETS) {
    // A function of its own, for TypeScript: the two are overloads.
    clean = typeof instead === "string" ? clean.replace(form, instead) : clean.replace(form, instead);
  }
  return clean;
}

/** Looking takes time, in which nothing else is done: of a very long text the end goes. */
function beginningOf(text: string, length: number): string {
  if (text.length <= length) return text;
  return text.slice(0, length - SECRET_LENGTH) + text.slice(length - SECRET_LENGTH, length).replace(/\S+$/, "…");
}

/**
 * Whether characters are drawn rather than written: letters and digits mixed as in no word or name of people's.
 *
 * @param isGiven they stand behind a colon, where a password of a few characters may be
 */
function looksRandom(text: string, isGiven: boolean): boolean {
  const kinds = [/\d/, /[a-z]/, /[A-Z]/].filter(kind => kind.test(text)).length;
  if (kinds === 3) return text.length >= (isGiven ? 8 : 16);
  return kinds === 2 && /\d/.test(text) && /^[0-9a-z]+$/i.test(text) && text.length >= (isGiven ? 6 : 20);
}

/** A text that another system wrote, fit to be told on: in one line, not too long, and {@link withoutSecrets}. */
export function foreignText(text: string): string {
  const line = withoutSecrets(beginningOf(text, LOOKED_AT))
    // Nor what steers a terminal, or turns what is read from right to left.
    .replace(/[\p{Cc}\p{Cf}\s]+/gu, " ")
    .trim();
  return line.length > MAXIMUM_LENGTH ? `${cutText(line, MAXIMUM_LENGTH - 1)}…` : cutText(line, MAXIMUM_LENGTH);
}

/**
 * The beginning of a text, of so many characters at the most as JavaScript counts them. What is half of a character, for example at
 * its end, is told as U+FFFD: neither MLflow nor Kubernetes takes a text with a lone surrogate.
 */
export function cutText(text: string, length: number): string {
  return text.slice(0, length).replace(/\p{Surrogate}/gu, "\ufffd");
}
