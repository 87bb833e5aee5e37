// Makes the status page's script and style of page/, as text that the module's bundle holds, when they are missing or older
// than what they are made of. Plain JavaScript, since it runs before everything else: with-dependencies.mjs, vitest's
// settings and `npm run check` call it.
import { existsSync, mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";

const ROOT = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const GENERATED = path.join(ROOT, "capabilities/server/page/generated");

/** What is made of what. */
const ASSETS = [
  { source: "page/main.tsx", file: "page.js.txt" },
  { source: "page/style.css", file: "page.css.txt" },
];

/** All that they depend on. */
const INPUTS = [
  ...readdirSync(path.join(ROOT, "page"), { recursive: true }).map(name => path.join("page", name)),
  "capabilities/status/published.ts",
  "capabilities/server/page/wire.ts",
  "package-lock.json",
  "scripts/page-assets.mjs",
];

/** Makes them, unless they are newer than all that they are made of. */
export function makePageAssets() {
  const made = ASSETS.map(({ file }) => path.join(GENERATED, file));
  const newest = Math.max(...INPUTS.map(input => statSync(path.join(ROOT, input)).mtimeMs));
  if (made.every(file => existsSync(file) && statSync(file).mtimeMs >= newest)) return;
  mkdirSync(GENERATED, { recursive: true });
  for (const { source, file } of ASSETS) {
    const { outputFiles } = buildSync({
      entryPoints: [path.join(ROOT, source)],
      absWorkingDir: ROOT,
      bundle: true,
      minify: true,
      write: false,
      // Browsers of the last three years.
      target: ["es2022", "chrome109", "firefox115", "safari16"],
      format: "esm",
      jsx: "automatic",
      jsxImportSource: "preact",
      charset: "utf8",
      legalComments: "none",
      logLevel: "error",
    });
    // Several processes may do this at once, and none may read half of a file.
    const unfinished = path.join(GENERATED, `${file}.${process.pid}`);
    writeFileSync(unfinished, outputFiles[0].text);
    renameSync(unfinished, path.join(GENERATED, file));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) makePageAssets();
