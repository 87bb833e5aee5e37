import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { describe, expect, it, onTestFinished, vi } from "vitest";

// A process of its own, with TypeScript, takes seconds to start on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const MODULE = pathToFileURL("capabilities/support/termination.ts").href;

/** What the process under test has before its own lines: the functions, and a log that writes one line of JSON each. */
const PRELUDE = `
const { exitAfter, finishBeforeExit, surviveUnhandledRejections } = await import(${JSON.stringify(MODULE)});
const write = level => (fields, message) => console.log(JSON.stringify({ level, message, ...fields }));
const log = { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
const say = message => console.log(JSON.stringify({ message }));
// Lives until somebody ends it.
setInterval(() => undefined, 1000);
`;

interface Program {
  readonly lines: readonly Readonly<Record<string, unknown>>[];
  /** Resolves when it has written a line with this message. */
  readonly wrote: (message: string) => Promise<void>;
  readonly terminate: () => void;
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
  /** What it wrote to standard error. */
  readonly complaints: () => string;
}

/** Runs lines of JavaScript in a process of their own: what is tested here decides over the life of its process. */
function startProgram(source: string): Program {
  const args = ["--import", "tsx", "--input-type=module", "--eval", PRELUDE + source];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  let complaints = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (complaints += text));
  onTestFinished(() => void child.kill("SIGKILL"));
  const lines: Readonly<Record<string, unknown>>[] = [];
  const output = createInterface({ input: child.stdout });
  output.on("line", line => lines.push(JSON.parse(line) as Readonly<Record<string, unknown>>));
  const ended = once(child, "close").then(([code, signal]) => (signal ?? code) as number | string);
  return {
    lines,
    ended,
    complaints: () => complaints,
    terminate: () => void child.kill("SIGTERM"),
    async wrote(message) {
      const end = ended.then(how => {
        throw new Error(`It ended (${how}) before "${message}": ${complaints}`);
      });
      const written = async (): Promise<void> => {
        while (!lines.some(line => line.message === message)) await once(output, "line");
      };
      await Promise.race([written(), end]);
    },
  };
}

describe("finishBeforeExit", () => {
  it("lets the work end before anybody else hears of the signal", async () => {
    const program = startProgram(`
      process.on("SIGTERM", signal => { say("others heard " + signal); process.exit(7); });
      finishBeforeExit(async () => {
        say("finishing");
        await new Promise(resolve => setTimeout(resolve, 50));
        say("finished");
      });
      say("ready");`);
    await program.wrote("ready");
    program.terminate();
    expect(await program.ended).toBe(7);
    expect(program.lines.map(({ message }) => message)).toEqual([
      ...["ready", "finishing", "finished", "others heard SIGTERM"],
    ]);
  });

  it("ends as the signal would where nobody else listens", async () => {
    const program = startProgram(`finishBeforeExit(async () => say("finished")); say("ready");`);
    await program.wrote("ready");
    program.terminate();
    expect(await program.ended).toBe(143);
    expect(program.lines.at(-1)).toEqual({ message: "finished" });
  });

  it("does not wait for ever", async () => {
    const program = startProgram(`finishBeforeExit(() => new Promise(() => undefined), 50); say("ready");`);
    await program.wrote("ready");
    program.terminate();
    expect(await program.ended).toBe(143);
  });

  it("ends when finishing fails", async () => {
    const program = startProgram(`
      surviveUnhandledRejections(log);
      finishBeforeExit(async () => { throw new Error("the server does not close"); });
      say("ready");`);
    await program.wrote("ready");
    program.terminate();
    expect(await program.ended).toBe(143);
  });
});

describe("exitAfter", () => {
  it.each([
    ["comes to its end", 'say("finished");'],
    ["fails", 'say("finished"); throw new Error("failed");'],
    ["does not end", 'say("finished"); await new Promise(() => undefined);'],
  ])("ends with the code when the work %s", async (_, work) => {
    const program = startProgram(`await exitAfter(async () => { ${work} }, 7, 100);`);
    expect(await program.ended).toBe(7);
    expect(program.lines).toEqual([{ message: "finished" }]);
  });
});

describe("surviveUnhandledRejections", () => {
  it("logs what nobody waits for, and the process goes on", async () => {
    const program = startProgram(`
      surviveUnhandledRejections(log);
      Promise.reject(new Error("forgotten"));
      Promise.reject("no error at all");
      setTimeout(() => say("alive"), 50);`);
    await program.wrote("alive");
    const message = "Unexpected error, please report it";
    expect(program.lines).toMatchObject([
      { level: "error", message, cause: "forgotten", stack: expect.stringContaining("Error: forgotten") as string },
      { level: "error", message, cause: "no error at all" },
      { message: "alive" },
    ]);
    expect(program.lines[1]).not.toHaveProperty("stack");
    program.terminate();
    expect(await program.ended).toBe("SIGTERM");
  });

  it("is needed: without it Node ends the process", async () => {
    const program = startProgram(`
      Promise.reject(new Error("forgotten"));
      setTimeout(() => say("alive"), 50);`);
    expect(await program.ended).toBe(1);
    expect(program.lines).toEqual([]);
    expect(program.complaints()).toContain("Error: forgotten");
  });
});
