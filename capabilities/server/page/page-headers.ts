import { createHash } from "node:crypto";

/**
 * What the browser may do with the page: run its own script and style, and ask the module. What others wrote is shown as text
 * by its script, and if that ever failed, nothing of it would run, load or send anything.
 */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

/** Of everything that belongs to the page. */
const COMMON = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  // Where something of it is opened by itself, too.
  "content-security-policy": CONTENT_SECURITY_POLICY,
} as const;

/** Headers of the page itself, which names its parts by their content. */
export const DOCUMENT_HEADERS = { ...COMMON, "cache-control": "no-cache", vary: "accept-encoding" } as const;

/** Headers of a part that has its content's hash in its name. */
export const ASSET_HEADERS = {
  ...COMMON,
  "cache-control": "public, max-age=31536000, immutable",
  vary: "accept-encoding",
} as const;

/** Headers of what changes. */
export const DATA_HEADERS = { ...COMMON, "cache-control": "no-store" } as const;

/** Enough of a content's hash to tell two apart. */
export function contentHash(content: string): string {
  return createHash("sha256").update(content).digest("hex").slice(0, 16);
}

/** Whether a client takes gzip, by its Accept-Encoding. */
export function acceptsGzip(acceptEncoding: string | undefined): boolean {
  return (acceptEncoding ?? "").split(",").some(coding => {
    const [name = "", ...parameters] = coding.split(";").map(part => part.trim().toLowerCase());
    return name === "gzip" && !parameters.some(parameter => /^q=0(\.0*)?$/.test(parameter));
  });
}
