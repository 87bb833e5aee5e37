/** Characters of somebody else's text that are told; Kubernetes takes 1,024 for a whole Event. */
const MAXIMUM_LENGTH = 600;

/**
 * A text that another system wrote, fit to be told on: in one line, not too long, and without what may be a secret in a
 * URL (a password before the host, a signature behind the question mark).
 */
export function foreignText(text: string): string {
  const line = text
    .replace(/\s+/g, " ")
    .trim()
    .replace(/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/@"']*@/gi, "$1***@")
    .replace(/\b([a-z][a-z0-9+.-]*:\/\/[^\s"'?]*)\?[^\s"']+/gi, "$1?***");
  return line.length > MAXIMUM_LENGTH ? `${line.slice(0, MAXIMUM_LENGTH - 1)}…` : line;
}
