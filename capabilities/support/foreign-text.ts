/** Characters of somebody else's text that are told; Kubernetes takes 1,024 for a whole Event. */
const MAXIMUM_LENGTH = 600;

/** Characters that are looked at. Where a text is cut, as many more go as a secret may have: half of one is not recognised. */
const LOOKED_AT = 8_000;
const CUT_SECRET = /\S{1,500}$/;

const SECRET_NAME =
  /(?:password|passwd|passphrase|secret|token(?!s|iz)|signature|credential|(?:api|access|account|private)[-_ ]?key)/i
    .source;

/**
 * What is a secret by its form, each with what is told instead. Names and prefixes as their issuers document them; more is
 * taken for a secret rather than less.
 */
const SECRETS: readonly (readonly [
  form: RegExp,
  instead: string | ((found: string, ...groups: string[]) => string),
])[] = [
  // A password before the host of a URL, and what is behind its question mark (signatures) or hash (tokens).
  [/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/@"'<>]*@/gi, "$1***@"],
  [/\b([a-z][a-z0-9+.-]*:\/\/[^\s"'<>?#]*)([?#])[^\s"'<>]+/gi, "$1$2***"],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/gs, "***"],
  // Headers: X-Amz-Security-Token: …, Authorization: Bearer …, {'Cookie': '…'}
  [
    /(?<![\w-])((?:proxy-)?authorization|(?:set-)?cookie|x-[\w-]*(?:token|key|secret|signature))(["']?\s*[:=]\s*["']?)(?:(?:bearer|basic|digest|negotiate|token|aws4-hmac-sha256)\s+)?[^\s"',;]+/gi,
    "$1$2***",
  ],
  [/\b(bearer|basic)\s+(?=[\w.~+/=-]*[\d=])[\w.~+/=-]{8,}/gi, "$1 ***"],
  // password=…, "client_secret": "…", AccountKey=…; sig=… of Azure
  [
    new RegExp(
      `(?<![\\w.-])([\\w.-]*${SECRET_NAME}[\\w-]*|sig|pwd)(\\s?=\\s?|["']\\s*[:=]\\s*)(?=[^\\s&;,)}\\]])(?:"[^"]*"|'[^']*')?[^\\s&;,"')}\\]]*`,
      "gi",
    ),
    "$1$2***",
  ],
  // HF_TOKEN: …, the password is "…", access_token …: in prose only what no word and no name of an object is.
  [
    new RegExp(
      `((?<![\\w.-])[\\w.-]*${SECRET_NAME}[\\w-]*["']?(?:\\s*[:=]\\s*|\\s+(?:(?:is|was|of)\\s+)?)["']?)([\\w+/=.~-]{16,})`,
      "gi",
    ),
    (found, before = "", value = "") => (looksRandom(value) ? `${before}***` : found),
  ],
  // Options of commands: --password …, curl -u user:…
  [new RegExp(`((?<![\\w-])--?[\\w-]*${SECRET_NAME}[\\w-]*(?:\\s+|=)["']?)(?![\\s-])[^\\s"']+`, "gi"), "$1***"],
  [/((?<![\w-])(?:-u|--user)[ =]+["']?[^\s:"']+:)[^\s"']+/g, "$1***"],
  [/(;jsessionid=)[^\s?#;"'<>]+/gi, "$1***"],
  // JSON Web Tokens; keys of AWS; tokens of GitHub, GitLab, Google, Hugging Face, Databricks, Slack, OpenAI
  [/\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)*/g, "***"],
  [/\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g, "***"],
  [/\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|ya29\.[\w-]{16,}|hf_\w{20,})/g, "***"],
  [/\b(?:dapi[0-9a-f]{32}|xox[abprs]-[\w-]{10,}|sk-[\w-]{20,})/g, "***"],
];

/**
 * A text without what looks like a secret: credentials and queries of URLs, values of headers and fields whose name says that
 * they are secret, tokens of known form. Doing it twice changes nothing more.
 */
export function withoutSecrets(text: string): string {
  let clean = text;
  for (const [form, instead] of SECRETS) {
    // A function of its own, for TypeScript: the two are overloads.
    clean = typeof instead === "string" ? clean.replace(form, instead) : clean.replace(form, instead);
  }
  return clean;
}

/** Whether characters are drawn rather than written: of three kinds, or many of the kinds that hexadecimal numbers have. */
function looksRandom(text: string): boolean {
  const kinds = [/\d/, /[a-z]/, /[A-Z]/].filter(kind => kind.test(text)).length;
  return kinds === 3 || (kinds === 2 && /^[0-9a-z]{20,}$/i.test(text) && /\d/.test(text));
}

/** A text that another system wrote, fit to be told on: in one line, not too long, and {@link withoutSecrets}. */
export function foreignText(text: string): string {
  const isCut = text.length > LOOKED_AT;
  const looked = isCut ? text.slice(0, LOOKED_AT).replace(CUT_SECRET, "…") : text;
  const line = withoutSecrets(looked).replace(/\s+/g, " ").trim();
  return line.length > MAXIMUM_LENGTH ? `${line.slice(0, MAXIMUM_LENGTH - 1)}…` : line;
}
