import { readFileSync } from "node:fs";
import { build } from "esbuild";
import type { BuildOptions } from "esbuild";
import { describe, expect, it } from "vitest";
import { dependencies as inPeprsImage } from "../node_modules/pepr/package.json";
import packageJson from "../package.json";

interface LockedPackage {
  readonly version: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly link?: boolean;
  readonly dev?: boolean;
  readonly license?: string;
  readonly hasInstallScript?: boolean;
}

const lockfile = JSON.parse(readFileSync("package-lock.json", "utf8")) as { packages: Record<string, LockedPackage> };
/** By its folder. The first entry is this project itself. */
const locked = Object.entries(lockfile.packages).filter(([folder]) => folder !== "");

/** Licences whose terms those of Apache-2.0 meet: notices are to be kept, nothing else is asked of what uses them. */
const PERMISSIVE = new Set(
  "0BSD Apache-2.0 BSD-2-Clause BSD-3-Clause BlueOak-1.0.0 ISC MIT PSF-2.0 Python-2.0 Unlicense Zlib".split(" "),
);

/** An SPDX expression of at most one operator, which is all that there is. */
function isPermissive(licence: string): boolean {
  const expression = licence.replace(/^\((.*)\)$/, "$1");
  if (expression.includes(" OR ")) return expression.split(" OR ").some(one => PERMISSIVE.has(one));
  return expression.split(" AND ").every(one => PERMISSIVE.has(one));
}

/** The packages in the module's bundle, found as `pepr build` makes it (cli/build/buildModule.ts). */
async function bundledPackages(): Promise<string[]> {
  return await packagesIn({
    entryPoints: ["pepr.ts"],
    platform: "node",
    format: "cjs",
    loader: { ".txt": "text" },
    external: [...Object.keys(inPeprsImage), "pepr", "@kubernetes/client-node"],
  });
}

/** The folders of all packages that a bundle has something of. */
async function packagesIn(options: BuildOptions): Promise<string[]> {
  const { metafile } = await build({ ...options, bundle: true, metafile: true, write: false, logLevel: "error" });
  const folders = Object.values(metafile.outputs)
    .flatMap(({ inputs }) => Object.keys(inputs))
    .map(file => /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file)?.[0]);
  return [...new Set(folders.filter(folder => folder !== undefined))].sort();
}

describe("the bundle", () => {
  it("holds four packages, and none of them runs anything when it is installed", async () => {
    const folders = await bundledPackages();

    expect(folders).toEqual(["fastest-levenshtein", "js-yaml", "mustache", "zod"].map(name => `node_modules/${name}`));
    for (const folder of folders) {
      expect(lockfile.packages[folder], folder).toMatchObject({ license: "MIT" });
      expect(lockfile.packages[folder]?.hasInstallScript, folder).toBeUndefined();
    }
  });
});

describe("the status page", () => {
  it("holds one package, which runs nothing when it is installed", async () => {
    const folders = await packagesIn({ entryPoints: ["page/main.tsx"], jsx: "automatic", jsxImportSource: "preact" });

    expect(folders).toEqual(["node_modules/preact"]);
    expect(lockfile.packages["node_modules/preact"]).toMatchObject({ license: "MIT" });
    expect(lockfile.packages["node_modules/preact"]?.hasInstallScript).toBeUndefined();
  });
});

describe("the packages", () => {
  it("are each pinned to one version", () => {
    const direct = { ...packageJson.dependencies, ...packageJson.devDependencies };
    const loose = Object.entries(direct).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version));
    expect(loose).toEqual([]);
  });

  it("are each pinned to one content, and come from the registry", () => {
    expect(locked.length).toBeGreaterThan(100);
    const unpinned = locked.filter(([, { integrity }]) => !/^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity ?? ""));
    expect(unpinned).toEqual([]);
    const elsewhere = locked.filter(
      ([, { link, resolved }]) => link === true || (resolved !== undefined && !resolved.startsWith("https://")),
    );
    expect(elsewhere).toEqual([]);
  });

  it("run nothing when they are installed, but for esbuild, which looks for its program", () => {
    const scripts = locked.filter(([, { hasInstallScript }]) => hasInstallScript).map(([folder]) => folder);
    expect(scripts.filter(folder => !/(^|\/)node_modules\/(esbuild|fsevents)$/.test(folder))).toEqual([]);
  });

  it("have permissive licences, unless they are for development only", () => {
    const others = locked.filter(([, { dev, license = "none" }]) => !dev && !isPermissive(license));
    expect(others).toEqual([]);
  });
});
