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
  const [, after] = readFileSync(file, "utf8").split(`\n## ${heading}\n`);
  if (after === undefined) throw new Error(`${file} has no heading "${heading}"`);
  const [part = ""] = after.split("\n## ");
  return [...part.matchAll(/```sh\n(.*?)```/gs)].map(([, commands = ""]) => commands);
}

/** Runs shell commands as somebody types them: kubectl and npx are found, and the cluster is the current one. */
export async function runAsTyped(
  commands: string,
  options: { readonly directory: string; readonly kubeconfig: string; readonly kubectlPath: string },
): Promise<string> {
  const programs = [path.dirname(options.kubectlPath), path.dirname(process.execPath), process.env.PATH ?? ""];
  const environment = { ...cleanEnvironment(), KUBECONFIG: options.kubeconfig, PATH: programs.join(":") };
  const { stdout, stderr } = await run("sh", ["-euc", commands], { directory: options.directory, environment });
  return stdout + stderr;
}
