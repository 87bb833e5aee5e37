import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { sleep } from "./probe";
import { isRunning } from "./running";

/**
 * The folder for everything that is built once and used by every later run, outside the checkout:
 * $MLFLOW_KSERVE_CACHE itself, or mlflow-kserve under $XDG_CACHE_HOME, or under ~/.cache.
 */
export function cacheDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  if (environment.MLFLOW_KSERVE_CACHE) return resolve(environment.MLFLOW_KSERVE_CACHE);
  return join(environment.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "mlflow-kserve");
}

/** A key that changes whenever one of the texts does, so that a changed pin is built anew. */
export function cacheKey(...texts: readonly string[]): string {
  const hash = createHash("sha256");
  for (const text of texts) hash.update(`${Buffer.byteLength(text)}:${text}`);
  return hash.digest("hex").slice(0, 16);
}

/** The contents of files, to make a key of. */
export function contentsOf(...files: readonly string[]): string[] {
  return files.map(file => readFileSync(file, "utf8"));
}

/** Whether this entry was built to its end. */
export function isCached(name: string, key: string): boolean {
  return existsSync(join(entryDirectory(name, key), COMPLETE));
}

/**
 * Returns the folder of a cache entry, building it first when it is not there.
 *
 * A marker is written when the build has succeeded, so that a build that was cut short is never taken for a finished
 * one. Two processes that want the same entry do not build it twice: the second waits.
 * @param build fills the empty folder it is given
 */
export async function cached(
  name: string,
  key: string,
  build: (directory: string) => Promise<void>,
  progress: (message: string) => void,
): Promise<string> {
  const directory = entryDirectory(name, key);
  if (isCached(name, key)) return directory;
  mkdirSync(cacheDirectory(), { recursive: true });
  const unlock = await lock(`${directory}.lock`, name, progress);
  try {
    if (isCached(name, key)) return directory;
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
    await build(directory);
    writeFileSync(join(directory, COMPLETE), "");
    return directory;
  } finally {
    unlock();
  }
}

const COMPLETE = ".complete";

function entryDirectory(name: string, key: string): string {
  return join(cacheDirectory(), `${name}-${key}`);
}

async function lock(file: string, name: string, progress: (message: string) => void): Promise<() => void> {
  for (let attempt = 0; ; attempt++) {
    try {
      writeFileSync(file, String(process.pid), { flag: "wx" });
      return () => {
        rmSync(file, { force: true });
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const owner = readOwner(file);
    // Without a number in it for seconds, it was left by a full disk.
    if (owner === undefined ? attempt > 10 : !isRunning(owner)) {
      rmSync(file, { force: true });
    } else {
      if (attempt % 30 === 0) progress(`waiting for process ${owner ?? "?"}, which is building ${name}`);
      await sleep(500);
    }
  }
}

/** Undefined when the lock went away, or its owner has not written its number yet. */
function readOwner(file: string): number | undefined {
  try {
    return Number(readFileSync(file, "utf8")) || undefined;
  } catch {
    return undefined;
  }
}
