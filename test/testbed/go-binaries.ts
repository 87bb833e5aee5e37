import { readdirSync, renameSync } from "node:fs";
import { basename, join } from "node:path";
import { cached, cacheKey, contentsOf } from "./cache";
import { run, type CommandOptions } from "./commands";

/** The Go modules of the testbed: folders beside this file, under go/, that pin what they build. */
export type GoModule = "kubernetes" | KserveModule | "kwok" | "versitygw" | "helm" | "prometheus";

/** KServe: the release that is tested with, and the older ones that `npm run compatibility` tries. */
export type KserveModule = "kserve" | "kserve-0.15" | "kserve-0.19";

/** Build tags. Prometheus is built without what finds targets in clouds, which is most of what it depends on. */
const TAGS: Readonly<Partial<Record<GoModule, string>>> = { prometheus: "remove_all_sd" };

/** One program: the package of its main function and the file name it gets. */
export interface GoProgram {
  readonly packagePath: string;
  readonly binary: string;
}

/** What to build, and what else of the module's source to keep beside the programs. */
export interface GoBuild {
  readonly module: GoModule;
  readonly programs: readonly GoProgram[];
  /** The module path whose version the programs report as theirs (Kubernetes' clients read it back and parse it). */
  readonly versionOf?: string;
  /** Makes further files from the source, after the programs are built. */
  readonly finish?: (directory: string) => Promise<void>;
}

// To be raised with every change to what is made from the same pins, so that nobody gets what an older testbed made.
const FORMAT = "2";

/** The folder with go.mod and go.sum of one of our modules. */
export function moduleDirectory(module: GoModule): string {
  return join(__dirname, "go", module);
}

/** The folder where Go keeps the source of a module that ours depends on. */
export async function sourceDirectory(module: GoModule, dependency: string): Promise<string> {
  return go(module, ["list", "-m", "-f", "{{.Dir}}", dependency]);
}

/** Runs the go command in one of our modules and returns what it wrote. */
async function go(module: GoModule, args: readonly string[], onErrorLine?: (line: string) => void): Promise<string> {
  const options: CommandOptions = {
    directory: moduleDirectory(module),
    environment: { ...process.env, GOWORK: "off" }, // a go.work in a folder above is not about us
    ...(onErrorLine && { onErrorLine }),
  };
  return (await run("go", args, options)).stdout.trim();
}

/**
 * Downloads the sources of everything that modules build, so that this goes on beside the compilation of the one before.
 * Never fails: whoever builds finds out what is missing.
 */
export async function fetchSources(modules: readonly GoModule[]): Promise<void> {
  for (const module of modules) await go(module, ["list", "-deps", ...tagsOf(module), "tool"]).catch(() => undefined);
}

function tagsOf(module: GoModule): string[] {
  return TAGS[module] === undefined ? [] : ["-tags", TAGS[module]];
}

let turn: Promise<unknown> = Promise.resolve();

/** One after the other: each build alone keeps all cores busy, and linking takes memory. */
function inTurn(build: () => Promise<void>): Promise<void> {
  const mine = turn.then(build);
  turn = mine.catch(() => undefined);
  return mine;
}

// As Go names a program: the last element of its package's path that is not a major version.
function defaultName(packagePath: string): string {
  return basename(packagePath.replace(/\/v\d+$/, ""));
}

/** The key under which a module's programs are kept: it changes with every pin. */
export function goBuildKey(build: Pick<GoBuild, "module" | "programs">): string {
  const directory = moduleDirectory(build.module);
  const names = build.programs.map(program => `${program.packagePath}=${program.binary}`);
  const platform = `${process.platform}/${process.arch}`;
  return cacheKey(
    FORMAT,
    platform,
    ...tagsOf(build.module),
    ...names,
    ...contentsOf(join(directory, "go.mod"), join(directory, "go.sum")),
  );
}

/**
 * Builds Go programs, or finds them in the cache.
 * @returns the folder that has them
 */
export function goBinaries(build: GoBuild, progress: (message: string) => void): Promise<string> {
  return cached(
    build.module,
    goBuildKey(build),
    directory =>
      inTurn(async () => {
        const started = Date.now();
        const seconds = (): string => `${Math.round((Date.now() - started) / 1000)} s`;
        let compiled = 0;
        let current = "";
        const sign = setInterval(() => {
          progress(`building ${build.module}: ${seconds()}, ${compiled} packages compiled; ${current}`);
        }, 15_000);
        const onErrorLine = (line: string): void => {
          // With -v, Go names each package that it compiles; before that, each module that it downloads.
          current = line;
          if (!line.startsWith("go: ")) compiled++;
        };
        try {
          progress(`building ${build.module} (${build.programs.map(program => program.binary).join(", ")})`);
          const packages = build.programs.map(program => program.packagePath);
          const flags = ["-v", "-buildvcs=false", ...tagsOf(build.module), "-ldflags", await linkerFlags(build)];
          // One call for all of them: linking a program takes one core for long, so several are linked side by side.
          await go(build.module, ["build", ...flags, "-o", `${directory}/`, ...packages], onErrorLine);
          for (const { packagePath, binary } of build.programs) {
            renameSync(join(directory, defaultName(packagePath)), join(directory, binary));
          }
          await build.finish?.(directory);
          progress(`built ${build.module} in ${seconds()} (${readdirSync(directory).length} files)`);
        } finally {
          clearInterval(sign);
        }
      }),
    progress,
  );
}

async function linkerFlags({ module, versionOf }: GoBuild): Promise<string> {
  const flags = ["-s", "-w"];
  if (versionOf) {
    const version = await go(module, ["list", "-m", "-f", "{{.Version}}", versionOf]);
    const [major = "", minor = ""] = version.replace(/^v/, "").split(".");
    const stamp = { gitVersion: version, gitMajor: major, gitMinor: minor };
    for (const [name, value] of Object.entries(stamp)) flags.push(`-X k8s.io/component-base/version.${name}=${value}`);
  }
  return flags.join(" ");
}
