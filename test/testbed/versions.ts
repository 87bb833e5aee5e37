/** A version number as far as comparisons need it. */
export type Version = readonly [major: number, minor: number, patch: number];

/**
 * Finds the first version number in a text such as "go version go1.26.8 linux/amd64" or "Python 3.11.7".
 * A missing patch number counts as 0. Undefined when there is none.
 */
export function parseVersion(text: string): Version | undefined {
  const match = /(\d+)\.(\d+)(?:\.(\d+))?/.exec(text);
  return match ? [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)] : undefined;
}

/** Whether a version is the wanted one or a newer one. */
export function isAtLeast(version: Version, wanted: Version): boolean {
  for (const position of [0, 1, 2] as const) {
    if (version[position] !== wanted[position]) return version[position] > wanted[position];
  }
  return true;
}

/** A version the way people write it; a patch number of 0 is left out. */
export function formatVersion([major, minor, patch]: Version): string {
  return patch === 0 ? `${major}.${minor}` : `${major}.${minor}.${patch}`;
}
