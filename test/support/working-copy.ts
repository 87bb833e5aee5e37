import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { removeAtEnd } from "../testbed/watchdog";

/** What goes into the bundle. */
export const SOURCES = ["pepr.ts", "capabilities", "templates", "package.json", "tsconfig.json"];

/**
 * A copy of what Pepr builds, so that its commands, which write to dist/, do not touch the working tree. Without the tests,
 * and with nothing to lint: `npm run check` does that.
 */
export function createWorkingCopy(): { readonly directory: string; readonly remove: () => void } {
  const directory = mkdtempSync(path.join(tmpdir(), "working-copy-"));
  removeAtEnd(directory);
  for (const name of SOURCES) {
    cpSync(name, path.join(directory, name), { recursive: true, filter: file => !file.endsWith(".test.ts") });
  }
  symlinkSync(path.resolve("node_modules"), path.join(directory, "node_modules"));
  writeFileSync(path.join(directory, "eslint.config.mjs"), 'export default [{ ignores: ["**/*"] }];\n');
  return {
    directory,
    remove() {
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
