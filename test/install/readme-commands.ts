import { readFileSync } from "node:fs";
import path from "node:path";
import { run } from "../testbed/commands";
import { cleanEnvironment } from "../testbed/processes";

/**
 * The blocks of shell commands in a part of a document.
 *
 * @param heading the part's heading, as it is written
 * @throws Error when there is no such heading
 */
export function commandsBelow(file: string, heading: string): string[] {
  const part = partsOf(file).get(heading);
  if (part === undefined) throw new Error(`${file} has no heading "${heading}"`);
  return part;
}

/** All blocks of shell commands in a document, by the heading that they are below; "" is what is before the first. */
export function partsOf(file: string): ReadonlyMap<string, string[]> {
  const [before = "", ...parts] = readFileSync(file, "utf8").split(/^## /m);
  const blocks = (text: string): string[] =>
    [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, commands = ""]) => commands);
  return new Map([
    ["", blocks(before)],
    ...parts.map(part => [part.slice(0, part.indexOf("\n")), blocks(part)] as const),
  ]);
}

/**
 * Runs shell commands as somebody types them, in a cluster that is the current one.
 *
 * @param options.programs paths of programs that are found by their names, beside npx and what this machine has
 */
export async function runAsTyped(
  commands: string,
  options: { readonly directory: string; readonly kubeconfig: string; readonly programs: readonly string[] },
): Promise<string> {
  // A name alone is one that the PATH has.
  const directories = [...options.programs.filter(program => path.isAbsolute(program)), process.execPath].map(program =>
    path.dirname(program),
  );
  const environment = {
    ...cleanEnvironment(),
    KUBECONFIG: options.kubeconfig,
    PATH: [...directories, process.env.PATH ?? ""].join(":"),
  };
  const { stdout, stderr } = await run("sh", ["-euc", commands], { directory: options.directory, environment });
  return stdout + stderr;
}
