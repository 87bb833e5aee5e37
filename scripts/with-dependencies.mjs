// Runs a TypeScript file of this project, after `npm ci` where the dependencies are missing or older than the lock file:
// on a fresh clone `npm start` and `npm test` are all that anybody has to type. Plain JavaScript, since nothing is
// installed yet when it starts.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, lstatSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { fileURLToPath } from "node:url";
import path from "node:path";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(
    `Node.js 20.19 or newer is needed, this is ${process.versions.node}: install a newer one from https://nodejs.org`,
  );
  process.exit(1);
}

const [script, ...args] = process.argv.slice(2);
const modules = path.join(root, "node_modules");
const installed = path.join(modules, ".package-lock.json");
const lock = path.join(root, "package-lock.json");
// npm ci would empty the folder that a link leads to, under the feet of whoever else uses it.
const isLinked = lstatSync(modules, { throwIfNoEntry: false })?.isSymbolicLink() === true;
const isCurrent = existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs;
if (!isCurrent && !isLinked) {
  const missing = missingOnFreshMachine();
  if (missing.length > 0) {
    console.error(missing.join("\n"));
    process.exit(1);
  }
  console.error("Installing the dependencies (npm ci) …");
  const { status } = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: root,
    stdio: ["ignore", 2, 2],
  });
  if (status !== 0) process.exit(status ?? 1);
}

// Not before there is esbuild.
const { makePageAssets } = await import("./page-assets.mjs");
makePageAssets();

const child = spawn(process.execPath, ["--import", "tsx", path.join(root, script), ...args], {
  cwd: root,
  stdio: "inherit",
});
// The terminal sends Ctrl-C to the child as well; it decides how to end, and this process only passes the end on.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
  });
}
child.on("exit", (code, signal) => {
  process.exitCode = signal ? 1 : (code ?? 1);
});

/**
 * What nothing goes without and no package has, where nothing was built yet: better known before the installation than after
 * it. The exact check, with versions, is that of test/testbed/prerequisites.ts.
 */
function missingOnFreshMachine() {
  const cache =
    process.env.MLFLOW_KSERVE_CACHE ||
    path.join(process.env.XDG_CACHE_HOME ?? path.join(homedir(), ".cache"), "mlflow-kserve");
  if (!script.startsWith("test/") || /--project[= ]unit\b/.test(args.join(" ")) || existsSync(cache)) return [];
  const directories = (process.env.PATH ?? "").split(path.delimiter);
  const has = (...names) => names.some(name => directories.some(directory => existsSync(path.join(directory, name))));
  return [
    ...(has("go")
      ? []
      : ["Go 1.26 or newer is needed, and there is none on the PATH: install it from https://go.dev/dl."]),
    ...(has("python3", "python3.12", "python3.11", "python3.10", "python")
      ? []
      : [
          "Python 3.10 to 3.12 is needed, and there is none on the PATH: install it (on Debian and Ubuntu: apt install python3 python3-venv).",
        ]),
  ];
}
