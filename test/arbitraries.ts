import fc from "fast-check";

/**
 * Texts that break things: YAML, mustache and shell syntax, what YAML takes for numbers and nulls, line ends, characters
 * that are not seen, keys of JavaScript's object prototype.
 */
export const HOSTILE_TEXTS: readonly string[] = [
  ..."null,~,true,yes,no,on,1e3,0x10,0o7,.inf,.nan,3,03,-1,1_000,2024-01-01,12:30:45,<<,=,!,&a,*a,|,>,%,@,`".split(","),
  ..."{{name}},{{{name}}},{{#run_id}},{{/run_id}},{{^a}},{{=<% %>=}},{{>x}},{{!c}},}},{{".split(","),
  ..."__proto__,constructor,toString,hasOwnProperty,prototype".split(","),
  ..."a: b|- a|# c|a # b|[a, b]|{a: b}|? a|: |---|...|--- a|%YAML 1.1|!!binary aGk=|&anchor a|\"|'|''|\\|\\n|\\u0041".split(
    "|",
  ),
  "",
  " ",
  " a",
  "a ",
  "\n",
  "a\nb",
  "a\n\nb\n",
  "\r\n",
  "\ta",
  "\n---\nkind: Pod\n",
  'x"\nspec: {evil: true}\n#',
  "x'\n  evil: true\n",
  "\u0000",
  "\u0007",
  "\u007f",
  "\u0085",
  "\u2028",
  "\u2029",
  "\ufeff",
  "\u202e",
  "\ufffd",
  "\ud800",
  "\udc00",
  "模型",
  "Ünïcödé",
  "é",
  "e\u0301",
  "😀",
  "$(id)",
  "${a}",
  "$&",
  "$1",
  "'; DROP TABLE models; --",
  "../../etc/passwd",
];

// Not fast-check's "binary" texts: these have lone surrogates, and need no second of preparation.
const codeUnits = fc
  .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 8 })
  .map(units => String.fromCharCode(...units));

/** Any text, lone surrogates included, often with hostile pieces in it. */
export function hostileText(): fc.Arbitrary<string> {
  const piece = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...HOSTILE_TEXTS) },
    { weight: 2, arbitrary: codeUnits },
    { weight: 1, arbitrary: fc.string({ unit: "grapheme", maxLength: 8 }) },
    { weight: 1, arbitrary: fc.constantFrom("\ud800", "\udbff", "\udc00", "\udfff") },
  );
  return fc.oneof(
    fc.constantFrom(...HOSTILE_TEXTS),
    fc.array(piece, { maxLength: 4 }).map(pieces => pieces.join("")),
  );
}

/**
 * Model names that MLflow accepts (no `/`, no `:`, not blank) and some that it would not: plain ones, hostile ones, long
 * ones, and ones that look like what a name is turned into (hashes, version suffixes).
 */
export function modelName(): fc.Arbitrary<string> {
  return fc.oneof(
    cleanModelName(),
    hostileText(),
    longModelName(),
    fc.tuple(cleanModelName(), hexDigits()).map(([name, hash]) => `${name}-${hash}`),
    hexDigits(),
    fc.tuple(cleanModelName(), versionNumber()).map(([name, version]) => `${name}-v${version}`),
  );
}

/** A name that needs no change: a short DNS label. */
export function cleanModelName(): fc.Arbitrary<string> {
  return fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,10}[a-z0-9])?$/);
}

/** Two different names that are equal once letters, separators, length or encoding are simplified. */
export function collidingModelNames(): fc.Arbitrary<readonly [string, string]> {
  const separators = ["-", "_", " ", ".", "--", "-.-", "\u00a0", "模", "/", "\n"];
  const spelling = (words: readonly string[]) =>
    fc
      .tuple(
        fc.constantFrom(...separators),
        fc.constantFrom("", "-", "_", " ", "\ud800", "\udfff", "\ufffd"),
        fc.constantFrom("", "-", "_", " ", "\ud800", "\udfff", "\ufffd"),
        fc.constantFrom("lower", "upper", "title"),
      )
      .map(
        ([separator, before, after, letters]) =>
          before + words.map(word => inLetters(word, letters)).join(separator) + after,
      );
  const words = fc.array(fc.stringMatching(/^[a-z0-9]{1,5}$/), { minLength: 1, maxLength: 3 });
  const respelled = words.chain(list => fc.tuple(spelling(list), spelling(list)));
  const long = longModelName().chain(start =>
    fc.tuple(
      fc.constant(start),
      modelEnd().map(end => start + end),
    ),
  );
  return fc.oneof(respelled, long, fc.tuple(modelName(), modelName())).filter(([one, other]) => one !== other);
}

/** MLflow's version numbers, up to the ten digits of its database column. */
export function versionNumber(): fc.Arbitrary<string> {
  return fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 9_999_999_999 })).map(String);
}

/** Namespaces that KServe can serve every model in: DNS labels of up to 21 characters. */
export function namespace(): fc.Arbitrary<string> {
  return fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,19}[a-z0-9])?$/);
}

function longModelName(): fc.Arbitrary<string> {
  return fc.string({ unit: fc.constantFrom(...Array.from("abcXYZ019-_. 模")), minLength: 30, maxLength: 300 });
}

function modelEnd(): fc.Arbitrary<string> {
  return fc.string({ unit: fc.constantFrom(...Array.from("aZ0-_ é")), minLength: 1, maxLength: 3 });
}

function hexDigits(): fc.Arbitrary<string> {
  return fc.stringMatching(/^[0-9a-f]{10}$/);
}

function inLetters(word: string, letters: string): string {
  if (letters === "upper") return word.toUpperCase();
  return letters === "title" ? word.charAt(0).toUpperCase() + word.slice(1) : word;
}
