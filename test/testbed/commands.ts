import { spawn } from "node:child_process";
import { forgetGroup, watchGroup } from "./watchdog";

/** How a command is run. */
export interface CommandOptions {
  readonly directory?: string;
  readonly environment?: NodeJS.ProcessEnv;
  /** Text for its standard input. */
  readonly input?: string;
  /** Called with each line of its standard error as it comes. */
  readonly onErrorLine?: (line: string) => void;
}

/** What a command that ended with code 0 wrote. */
export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a command to its end; it is killed with its children should our process end before.
 * @throws when it cannot be started or ends with another code than 0; the message has the end of its output
 */
export function run(command: string, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.directory,
      env: options.environment ?? process.env,
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
    });
    if (child.pid !== undefined) watchGroup(child.pid);
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
      for (const line of text.split("\n")) if (line.trim()) options.onErrorLine?.(line.trim());
    });
    child.stdin.on("error", () => undefined); // it ended without reading: its exit code tells
    child.stdin.end(options.input ?? "");
    child.once("error", reject);
    child.once("close", (code, signal) => {
      if (child.pid !== undefined) forgetGroup(child.pid);
      if (code === 0) {
        resolve({ stdout, stderr });
        return;
      }
      const call = [command, ...args].join(" ").slice(0, 200);
      reject(new Error(`${call} ended with ${signal ?? code ?? "?"}:\n${endOf(`${stdout}\n${stderr}`)}`));
    });
  });
}

function endOf(output: string): string {
  const lines = output.trim().split("\n").slice(-20);
  return lines.map(line => (line.length > 500 ? `${line.slice(0, 500)}…` : line)).join("\n");
}
