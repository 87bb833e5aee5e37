import * as z from "zod";
import { parseQuantity } from "./quantity";

// The kinds of values that settings have. All are text, as environment variables are; what is empty counts as not set.

export const httpUrl = (cure: string) =>
  z.string({ error: issue => (issue.input === undefined ? `is not set; ${cure}` : undefined) }).refine(
    value => {
      if (!URL.canParse(value)) return false;
      const { protocol, hash } = new URL(value);
      return (protocol === "http:" || protocol === "https:") && hash === "";
    },
    { error: `is not an http:// or https:// URL; ${cure}` },
  );

export const dnsLabel = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, {
  error: "is not a DNS label; use at most 63 lower-case letters, digits and dashes",
});

export function wholeNumber(minimum: number, maximum: number, what: string) {
  const cure = `must be ${what} from ${minimum} to ${maximum}`;
  return z
    .string()
    .regex(/^\d{1,9}$/, { error: cure })
    .transform(Number)
    .refine(value => value >= minimum && value <= maximum, { error: cure });
}

/** Minutes, with parts of them: 0.5 are thirty seconds. */
export function minutes(maximum: number) {
  const cure = `must be a number of minutes from 0 to ${maximum}`;
  return z
    .string()
    .regex(/^\d{1,6}(\.\d{1,4})?$/, { error: cure })
    .transform(Number)
    .refine(value => value <= maximum, { error: cure });
}

/** An alias as MLflow validates it (mlflow/utils/validation.py); `latest` and `v1` are reserved there. */
export const alias = z.string().regex(/^(?!latest$|v\d+$)[\w-]{1,255}$/i, {
  error: "is no alias of MLflow's; use at most 255 letters, digits, underscores and dashes, and neither latest nor v1",
});

export const flag = z
  .string()
  .regex(/^(true|false|1|0|yes|no|on|off)$/i, { error: "must be true or false" })
  .transform(value => /^(true|1|yes|on)$/i.test(value));

/** Several, separated by commas; spaces around them do not count. */
export const list = z.string().transform(value =>
  value
    .split(",")
    .map(item => item.trim())
    .filter(item => item !== ""),
);

/** Several namespaces, separated by commas; none when empty. */
export const namespaces = list.refine(names => names.every(name => dnsLabel.safeParse(name).success), {
  error: "must be names of namespaces, separated by commas",
});

/** One of some words, in any case. */
export function word<Word extends string>(...words: readonly [Word, ...Word[]]) {
  const cure = `must be ${words.slice(0, -1).join(", ")} or ${words.at(-1) ?? ""}`;
  return z
    .string()
    .regex(new RegExp(`^(${words.join("|")})$`, "i"), { error: cure })
    .transform(value => value.toLowerCase() as Word);
}

/** Variables of an address with variables. */
export const URL_VARIABLES = ["name", "namespace", "model_name", "model_version"];

/** Which address of a service people use: KServe's, or one with variables in two braces. */
export const servingUrl = z.string().refine(
  value => {
    if (["auto", "external", "internal"].includes(value)) return true;
    const filled = value.replace(/\{\{ *(\w+) *\}\}/g, (whole, name: string) =>
      URL_VARIABLES.includes(name) ? name : whole,
    );
    return /^https?:\/\//i.test(value) && URL.canParse(filled) && !/[{}]/.test(filled);
  },
  {
    error: `is neither auto, external nor internal, nor an http:// or https:// URL with ${URL_VARIABLES.map(name => `{{${name}}}`).join(", ")}`,
  },
);

export const quantity = z.string().refine(value => (parseQuantity(value) ?? -1) > 0, {
  error: "is not a positive Kubernetes quantity; write it like 500m, 2, 512Mi or 4Gi",
});

export const logLevel = z
  .string()
  .regex(/^(debug|info|warn|warning|error)$/i, { error: "must be DEBUG, INFO, WARNING or ERROR" })
  .transform(value => {
    const level = value.toLowerCase() as "debug" | "info" | "warn" | "warning" | "error";
    return level === "warning" ? "warn" : level;
  });
