import { existsSync } from "node:fs";
import { join } from "node:path";
import { chromiumIsPackaged, OTHER_BROWSERS } from "./chromium";
import { run } from "./commands";
import { moduleDirectory } from "./go-binaries";
import { findProgram } from "./path-lookup";
import { cleanEnvironment } from "./processes";
import { formatVersion, isAtLeast, parseVersion, type Version } from "./versions";

// What kwok's go.mod asks for, and Prometheus': the newest of our modules.
const GO: Version = [1, 26, 0];
const PYTHON: Version = [3, 10, 0];
// MLServer 1.7 and KServe's storage initializer, which serve the models, are not made for newer ones.
const PYTHON_TOO_NEW: Version = [3, 13, 0];

/** An interpreter good enough to make a virtual environment. */
export interface PythonFound {
  readonly command: string;
  /** Version and place: a virtual environment made by one interpreter does not work with another. */
  readonly identity: string;
}

/** What the machine must have for this start. */
export interface Needs {
  /** Whether something has to be compiled. */
  readonly go: boolean;
  /** Whether kubectl has to be on the PATH, because we do not build one. */
  readonly kubectl: boolean;
  /** Whether tests are to be run, which use more than the testbed does. */
  readonly tests?: boolean;
}

/** What the tests need, which also take manifests from Go modules when nothing has to be compiled. */
export const NEEDS_OF_TESTS: Needs = { go: true, kubectl: false, tests: true };

/** A program that tests use, or several of which one will do, and what Debian and Ubuntu call the package that has it. */
export interface ProgramOfTests {
  readonly anyOf: readonly string[];
  readonly package: string;
}

/** What the tests run beside Go and Python. Some of them play a node, with namespaces and mounts, where they may. */
function programsOfTests(): ProgramOfTests[] {
  const node = [
    ...["unshare", "nsenter", "setpriv"].map(program => ({ anyOf: [program], package: "util-linux" })),
    { anyOf: ["mount"], package: "mount" },
    { anyOf: ["ip"], package: "iproute2" },
  ];
  return [
    { anyOf: ["bash"], package: "bash" },
    { anyOf: ["openssl"], package: "openssl" },
    { anyOf: ["ps"], package: "procps" },
    ...(process.platform === "linux" && process.getuid?.() === 0 ? node : []),
    ...(chromiumIsPackaged() ? [] : [{ anyOf: OTHER_BROWSERS, package: "chromium" }]),
  ];
}

/** Says which programs are missing, and the line that installs them. @param find the place of the first that is there */
export function missingPrograms(
  programs: readonly ProgramOfTests[],
  find: (...names: readonly string[]) => string | undefined,
): string | undefined {
  const missing = programs.filter(({ anyOf }) => find(...anyOf) === undefined);
  if (missing.length === 0) return undefined;
  const names = missing.map(({ anyOf }) => anyOf[0]).join(", ");
  const packages = [...new Set(missing.map(program => program.package))].join(" ");
  return `The tests need programs that are not on the PATH (${names}): install them (on Debian and Ubuntu: apt install ${packages}).`;
}

/**
 * Looks for everything that we need and cannot build, before a build of minutes is started.
 * @throws when something is missing or too old: one sentence for each, all at once
 */
export async function checkPrerequisites(needs: Needs): Promise<{ python: PythonFound }> {
  const [python, ...others] = await Promise.all([
    findPython(),
    needs.go ? checkGo() : undefined,
    needs.kubectl ? checkKubectl() : undefined,
  ]);
  const forTests = needs.tests ? missingPrograms(programsOfTests(), findProgram) : undefined;
  const problems = [python, ...others, forTests].filter(answer => typeof answer === "string");
  if (typeof python === "string" || problems.length > 0) throw new Error(problems.join("\n"));
  return { python };
}

/** What is wrong and what to do about it. */
type Problem = string;

async function checkGo(): Promise<Problem | undefined> {
  const wanted = formatVersion(GO);
  const needed = `Go ${wanted} or newer is needed to build the test systems`;
  const install = `install it from https://go.dev/dl.`;
  try {
    // Inside the module, so that a Go which may fetch newer ones of itself (GOTOOLCHAIN=auto) does so now.
    const { stdout } = await run("go", ["env", "GOVERSION"], { directory: moduleDirectory("kwok") });
    const found = parseVersion(stdout);
    return found && isAtLeast(found, GO) ? undefined : `${needed}, and ${stdout.trim()} was found: ${install}`;
  } catch (error) {
    if (isMissing(error)) return `${needed}, and there is no Go on the PATH: ${install}`;
    const found = parseVersion(/running go ([\d.]+)/.exec(String(error))?.[1] ?? "");
    return `${needed}, and ${found ? `Go ${formatVersion(found)} was found` : lastLine(error)}: ${install}`;
  }
}

async function checkKubectl(): Promise<Problem | undefined> {
  try {
    await run("kubectl", ["version", "--client"]);
    return undefined;
  } catch (error) {
    const problem = isMissing(error) ? "there is none on the PATH" : `it does not run (${lastLine(error)})`;
    return `kubectl is needed to work with a cluster of your own, and ${problem}: install it.`;
  }
}

const DESCRIBE_PYTHON = `
import json, sys
try:
    import ensurepip, venv
    usable = True
except ImportError:
    usable = False
print(json.dumps([sys.version, sys.base_prefix, usable]))
`;

async function findPython(): Promise<PythonFound | Problem> {
  const wanted = `Python ${formatVersion(PYTHON)} to 3.12`;
  const seen: string[] = [];
  let withoutVenv: string | undefined;
  for (const command of ["python3", "python3.12", "python3.11", "python3.10", "python"]) {
    const answer = await run(command, ["-c", DESCRIBE_PYTHON], { environment: cleanEnvironment() }).catch(() => null);
    if (!answer) continue;
    const [text, prefix, usable] = JSON.parse(answer.stdout) as [string, string, boolean];
    const version = parseVersion(text);
    if (!version || !isAtLeast(version, PYTHON) || isAtLeast(version, PYTHON_TOO_NEW))
      seen.push(text.split(" ")[0] ?? text);
    else if (usable) return { command, identity: `${text} ${prefix}` };
    else withoutVenv ??= formatVersion(version);
  }
  if (withoutVenv) {
    return (
      `Python ${withoutVenv} was found without its venv module, which is needed to install MLflow: ` +
      `install it (on Debian and Ubuntu: apt install python3-venv).`
    );
  }
  const found = seen.length > 0 ? `Python ${[...new Set(seen)].join(", ")} was found` : "there is none on the PATH";
  return (
    `${wanted} is needed to run MLflow and the models, and ${found}: ` +
    `install it (on Debian and Ubuntu: apt install python3 python3-venv).`
  );
}

/** A program's path in the folder that KUBEBUILDER_ASSETS names; undefined when it is not there. */
export function kubebuilderAsset(program: string, environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const directory = environment.KUBEBUILDER_ASSETS;
  if (!directory) return undefined;
  const path = join(directory, program);
  return existsSync(path) ? path : undefined;
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT";
}

function lastLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).trim().split("\n").at(-1) ?? "";
}
