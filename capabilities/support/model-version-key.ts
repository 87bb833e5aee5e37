/** A model version as MLflow identifies it. */
export interface ModelVersionKey {
  /** The registered model's name, as MLflow knows it: any text, MLflow forbids only `/` and `:`. */
  readonly model: string;
  /** The version's number as text, counted from 1 by MLflow. */
  readonly version: string;
}

// Characters that a terminal or log viewer hides, reorders or breaks a line at.
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
const VERSION_NUMBER = /^[1-9][0-9]{0,9}$/;

/** Whether a text is a version number as MLflow gives them: 1 to 9999999999, without leading zeros. */
export function isModelVersionNumber(text: string): boolean {
  return VERSION_NUMBER.test(text);
}

/**
 * A key for logs, answers and events: `"iris" version 3`. It stays on one line whatever the name holds, and two
 * different keys never read the same.
 */
export function formatKey(key: ModelVersionKey): string {
  return `${quote(key.model)} version ${isModelVersionNumber(key.version) ? key.version : quote(key.version)}`;
}

/** Each version once: of several with the same key the first. */
export function eachOnce<T extends ModelVersionKey>(versions: readonly T[]): T[] {
  const found = new Map<string, T>();
  for (const version of versions) {
    const id = formatKey(version);
    if (!found.has(id)) found.set(id, version);
  }
  return [...found.values()];
}

function quote(text: string): string {
  return JSON.stringify(text).replace(INVISIBLE, character =>
    // Code units, not code points: `\u` escapes have four digits.
    [...Array(character.length).keys()].map(index => escape(character.charCodeAt(index))).join(""),
  );
}

function escape(codeUnit: number): string {
  return `\\u${codeUnit.toString(16).padStart(4, "0")}`;
}
