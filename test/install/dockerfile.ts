import { readFileSync } from "node:fs";
import path from "node:path";
import type { ImageStandIn } from "./pod-process";

/** One instruction of a Dockerfile. */
export interface Instruction {
  readonly keyword: string;
  readonly argument: string;
}

/** A stage of a build: FROM and what follows it. */
export type Stage = readonly Instruction[];

/**
 * The instructions of a Dockerfile, stage by stage; the first has what is before the first FROM. Lines are joined at `\`,
 * comments left out, and arguments that the file declares before the first FROM are filled in.
 *
 * @throws Error for a line that is no instruction
 */
export function parseDockerfile(text: string): Stage[] {
  const lines = text
    .split("\n")
    .filter(line => !line.trimStart().startsWith("#"))
    .join("\n")
    .replace(/\\\n/g, " ")
    .split("\n")
    .filter(line => line.trim() !== "");
  const stages: Instruction[][] = [[]];
  const variables = new Map<string, string>();
  for (const line of lines) {
    const [, keyword = "", rest = ""] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    if (keyword === "") throw new Error(`This is no instruction: ${line}`);
    const argument = rest.replace(/\$\{(\w+)\}/g, (_, name: string) => variables.get(name) ?? "").trim();
    if (keyword === "ARG") variables.set(argument.split("=")[0] ?? "", argument.slice(argument.indexOf("=") + 1));
    if (keyword === "FROM") stages.push([]);
    stages.at(-1)?.push({ keyword, argument });
  }
  return stages;
}

/** The arguments of one kind of instruction, in their order. */
export function argumentsOf(stage: Stage, keyword: string): string[] {
  return stage.filter(instruction => instruction.keyword === keyword).map(({ argument }) => argument);
}

/** What stands for the image of our Dockerfile: this machine's Node.js, and our packages where the image has its own. */
export function ownImage(): ImageStandIn {
  const stage = parseDockerfile(readFileSync("Dockerfile", "utf8")).at(-1) ?? [];
  const environment = argumentsOf(stage, "ENV").flatMap(argument => argument.split(/\s+/).map(pair => pair.split("=")));
  const [copied = ""] = argumentsOf(stage, "COPY").filter(argument => argument.startsWith("--from="));
  const installation = path.dirname(path.dirname(process.execPath));
  return {
    entrypoint: [path.join("/nodejs/bin", path.basename(process.execPath))],
    workingDirectory: argumentsOf(stage, "WORKDIR").at(-1) ?? "/",
    environment: Object.fromEntries(environment.map(([name = "", value = ""]) => [name, value])),
    directories: { "/nodejs": installation, [copied.split(/\s+/).at(-1) ?? ""]: path.resolve("node_modules") },
  };
}
