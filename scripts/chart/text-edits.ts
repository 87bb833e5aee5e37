/** A text to find, and what to put in its place. */
export type Edit = readonly [found: string, replacement: string];

/**
 * Replaces texts, each everywhere it stands.
 *
 * @throws Error when one of them is not there: what is edited is made elsewhere, and must not change without being noticed
 */
export function editText(text: string, what: string, edits: readonly Edit[]): string {
  return edits.reduce((edited, [found, replacement]) => {
    if (!edited.includes(found)) throw new Error(`${what} does not have the text that is to be replaced:\n${found}`);
    return edited.replaceAll(found, replacement);
  }, text);
}

/** The lines of a text, each further in by some spaces; empty lines stay empty. */
export function indent(text: string, spaces: number): string {
  return text.trimEnd().replace(/^(?=.)/gm, " ".repeat(spaces));
}
