import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { EXAMPLES, filesBelow } from "./examples-support";
import { commandsBelow, partsOf } from "./readme-commands";

/** Marks a block that needs what is not here, by its first line, which says what it is. */
const NEEDS = /^# Needs .+\.\n/;
const BUILD = "npm ci && npm run build\n";

/** The tests that run the blocks below a heading, all of them. */
const RUN_BY: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "README.md": { "Install it on a cluster": "deploy.test.ts" },
  "k8s/README.md": {
    "Quick start": "kustomize-suite.ts",
    Helm: "helm-suite.ts",
    GitOps: "gitops-suite.ts",
    Secret: "kustomize-suite.ts",
    Settings: "kustomize-suite.ts",
    Uninstalling: "kustomize-suite.ts",
  },
};

const source = (test: string): string => readFileSync(path.join("test/install", test), "utf8");

describe.each(Object.entries(RUN_BY))("%s", (file, tests) => {
  const parts = [...partsOf(file)].filter(([heading]) => file !== "README.md" || heading in tests);

  it("has no block of commands that is neither run by a test nor marked", () => {
    expect(parts.flatMap(([, blocks]) => blocks).length).toBeGreaterThan(3);
    const unknown = parts.flatMap(([heading, blocks]) =>
      heading in tests ? [] : blocks.filter(block => !NEEDS.test(block)),
    );
    expect(unknown).toEqual([]);
  });

  it.each(Object.entries(tests))("%s: %s takes its commands from there, every block", (heading, test) => {
    const text = source(test).replaceAll(/\s+/g, " ");
    expect(text).toMatch(/commandsBelow\(\s?"/);
    expect(text).toContain(`"${file}"`);
    expect(text).toContain(`"${heading}"`);
    const blocks = commandsBelow(file, heading).filter(block => !NEEDS.test(block) && block !== BUILD);
    expect(blocks).toHaveLength(BLOCKS[`${file} ${heading}`] ?? 0);
  });
});

/** How many blocks the tests above run: who adds one has to run it too. */
const BLOCKS: Readonly<Record<string, number>> = {
  "README.md Install it on a cluster": 4,
  "k8s/README.md Quick start": 1,
  "k8s/README.md Helm": 3,
  "k8s/README.md GitOps": 4,
  "k8s/README.md Secret": 1,
  "k8s/README.md Settings": 1,
  "k8s/README.md Uninstalling": 1,
};

describe("README.md, Install it on a cluster", () => {
  it("has the commands of k8s/README.md's quick start, without the waiting", () => {
    const [, , kustomize = ""] = commandsBelow("README.md", "Install it on a cluster");
    const [, quickStart = ""] = commandsBelow("k8s/README.md", "Quick start");
    expect(quickStart.startsWith(kustomize)).toBe(true);
  });

  it("has a build that CI runs", () => {
    for (const [file, heading] of [
      ["README.md", "Install it on a cluster"],
      ["k8s/README.md", "Quick start"],
    ] as const) {
      expect(commandsBelow(file, heading)).toContain(BUILD);
    }
    const script = readFileSync(".ci/run", "utf8");
    expect(script).toMatch(/^npm ci /m);
    expect(script).toMatch(/^npm run --silent build /m);
  });
});

const readmes = filesBelow(EXAMPLES).filter(file => file.endsWith(`${path.sep}README.md`));

describe.each(readmes.filter(file => path.dirname(file) !== EXAMPLES))("%s", file => {
  it("is run by a test, block by block", () => {
    const name = path.basename(path.dirname(file));
    const test = name === "gitops" ? "gitops-suite.ts" : `examples-${name}.test.ts`;
    expect(source(test)).toMatch(
      name === "gitops" ? /commandsBelow\(`\$\{EXAMPLES\}\/README\.md`, ""\)/ : /readmeCommands\(/,
    );
    const blocks = [...readFileSync(file, "utf8").matchAll(/^```sh\n([^]*?)^```$/gm)];
    expect(blocks.length).toBeGreaterThan(1);
    // One that begins as a mark does, and is none, would be run and fail.
    for (const [, block = ""] of blocks) expect(block.startsWith("# Needs")).toBe(NEEDS.test(block));
  });
});
