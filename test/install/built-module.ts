import { cpSync, existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import packageJson from "../../package.json";
import { cached, cacheKey, contentsOf } from "../testbed/cache";
import { run } from "../testbed/commands";
import { cleanEnvironment } from "../testbed/processes";
import { createWorkingCopy, SOURCES } from "../support/working-copy";

/**
 * What `pepr build` leaves in dist/ for the module as it is in this working tree, twice: two builds of the same have
 * different keys, paths and times.
 *
 * Kept in the cache until a file that goes into it changes; nothing in it may be changed.
 * @param which `second` for the other build
 * @returns the folder
 */
export async function builtModule(which: "first" | "second" = "first"): Promise<string> {
  const files = SOURCES.flatMap(filesIn).sort();
  const key = cacheKey("1", ...files, ...contentsOf("package-lock.json", ...files));
  const builds = await cached("pepr-builds", key, buildTwice, () => undefined);
  return path.join(builds, which);
}

async function buildTwice(directory: string): Promise<void> {
  const copy = createWorkingCopy();
  try {
    const cli = path.resolve("node_modules/pepr/dist/cli.js");
    for (const which of ["first", "second"]) {
      const { stdout } = await run(process.execPath, [cli, "build", "--output", "dist"], {
        directory: copy.directory,
        environment: cleanEnvironment(),
      });
      const dist = path.join(copy.directory, "dist");
      // Pepr ends with code 0 after some failures.
      if (!existsSync(path.join(dist, `pepr-module-${packageJson.pepr.uuid}.yaml`))) {
        throw new Error(`pepr build made no manifests:\n${stdout}`);
      }
      mkdirSync(path.join(directory, which));
      cpSync(dist, path.join(directory, which), { recursive: true, filter: file => !file.endsWith(".map") });
    }
  } finally {
    copy.remove();
  }
}

/** The file itself, or all files below a folder that are no tests. */
function filesIn(name: string): string[] {
  if (!statSync(name).isDirectory()) return [name];
  return readdirSync(name, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && !entry.name.endsWith(".test.ts"))
    .map(entry => path.join(entry.parentPath, entry.name));
}
