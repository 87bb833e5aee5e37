import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { argumentsOf, parseDockerfile } from "./dockerfile";

const KEYWORDS = ["ARG", "FROM", "WORKDIR", "COPY", "RUN", "LABEL", "ENV", "USER", "ENTRYPOINT", "CMD"];

// There is no Docker here: what it would do is not seen, only what the file asks for. packaging.test.ts runs a pod as the
// last stage describes it.
describe("the Dockerfile", () => {
  const [declared = [], ...stages] = parseDockerfile(readFileSync("Dockerfile", "utf8"));
  const last = stages.at(-1) ?? [];

  it("has instructions that Docker knows, and stages that are pinned to a version", () => {
    expect(declared.map(({ keyword }) => keyword)).toEqual(["ARG"]);
    expect(stages).toHaveLength(2);
    for (const { keyword } of stages.flat()) expect(KEYWORDS).toContain(keyword);
    for (const stage of stages) {
      expect(argumentsOf(stage, "FROM")[0]).toMatch(
        /^docker\.io\/library\/node:\d+\.\d+\.\d+-bookworm-slim(@sha256:[0-9a-f]{64})?( AS \w+)?$/,
      );
    }
  });

  it("copies files that exist, and that are in its context", () => {
    const context = readFileSync(".dockerignore", "utf8").split("\n");
    expect(context[0]).toBe("*");
    const copied = stages
      .flatMap(stage => argumentsOf(stage, "COPY"))
      .filter(argument => !argument.startsWith("--from="))
      .flatMap(argument => argument.split(/\s+/).slice(0, -1));
    expect(copied).toEqual(["package.json", "package-lock.json", "LICENSE"]);
    for (const file of copied) {
      expect(existsSync(file), file).toBe(true);
      expect(context).toContain(`!${file}`);
    }
  });

  it("takes from another stage only what that stage makes", () => {
    const names = stages.map(stage => / AS (\w+)$/.exec(argumentsOf(stage, "FROM")[0] ?? "")?.[1]);
    for (const argument of argumentsOf(last, "COPY").filter(one => one.startsWith("--from="))) {
      const [, from, source = ""] = /^--from=(\w+) (\S+) \S+$/.exec(argument) ?? [];
      const stage = stages[names.indexOf(from)] ?? [];
      const [directory = ""] = argumentsOf(stage, "WORKDIR");
      expect(source).toBe(`${directory}/node_modules`);
      expect(argumentsOf(stage, "RUN").join()).toContain("npm ci ");
    }
  });

  it("runs as a user that is not root, and not through a shell", () => {
    expect(argumentsOf(last, "USER")).toEqual(["65532:65532"]);
    expect(JSON.parse(argumentsOf(last, "ENTRYPOINT")[0] ?? "")).toEqual(["node"]);
    // Nothing that must be done as root comes after it.
    expect(last.slice(last.findIndex(({ keyword }) => keyword === "USER")).map(({ keyword }) => keyword)).not.toContain(
      "RUN",
    );
  });

  it("installs Pepr, and what Pepr needs when it runs", () => {
    const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8")) as {
      packages: Record<string, { dev?: boolean; peer?: boolean; dependencies?: Record<string, string> }>;
    };
    const pepr = packages["node_modules/pepr"];
    expect(pepr?.dev).toBeUndefined();
    for (const name of Object.keys(pepr?.dependencies ?? {})) {
      const { dev, peer } =
        packages[`node_modules/pepr/node_modules/${name}`] ?? packages[`node_modules/${name}`] ?? {};
      expect([name, dev, peer]).toEqual([name, undefined, undefined]);
    }
  });
});
