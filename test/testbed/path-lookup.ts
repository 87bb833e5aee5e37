import { existsSync } from "node:fs";
import path from "node:path";

/** The first of these programs that is on the PATH. @returns its absolute path */
export function findProgram(...names: readonly string[]): string | undefined {
  const directories = (process.env.PATH ?? "").split(path.delimiter);
  return names.flatMap(name => directories.map(directory => path.join(directory, name))).find(existsSync);
}
