// `npm test`: all tests, and as the last line how many passed and failed. Arguments go to vitest, for example a file or
// `--project unit`.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { messageOf } from "../capabilities/observability/logging";
import { checkPrerequisites, NEEDS_OF_TESTS } from "./testbed/prerequisites";

/** What is read of vitest's JSON reporter (the form of Jest's). */
interface Report {
  readonly numPassedTests: number;
  readonly numPendingTests: number;
  readonly testResults: readonly FileResult[];
}

interface FileResult {
  readonly name: string;
  readonly status: "passed" | "failed";
  /** Why the file failed as a whole, for example in a `beforeAll`; empty when only tests of it failed. */
  readonly message: string;
  readonly assertionResults: readonly {
    readonly status: string;
    readonly fullName: string;
    readonly failureMessages: readonly string[] | null;
  }[];
}

/** One line for each test that failed, and for each file that failed without any of its tests doing so. */
function failuresOf({ testResults }: Report): string[] {
  return testResults.flatMap(({ name, status, message, assertionResults }) => {
    const file = path.relative(process.cwd(), name);
    const tests = assertionResults
      .filter(test => test.status === "failed")
      .map(test => `${file}: ${test.fullName}: ${firstLine(test.failureMessages?.[0])}`);
    return tests.length > 0 || status === "passed" ? tests : [`${file}: ${firstLine(message)}`];
  });
}

function firstLine(text = ""): string {
  return text.trim().replace(/\n[^]*/, "");
}

/** Whether these arguments choose the tests that need no systems. */
function isUnitOnly(argv: readonly string[]): boolean {
  return /(^| )--project[= ]unit( |$)/.test(argv.join(" "));
}

/** @returns its exit code; null when a signal ended it */
async function runVitest(argv: readonly string[]): Promise<number | null> {
  const fixed = ["node_modules/vitest/vitest.mjs", "run", "--reporter=default", "--reporter=json"];
  const vitest = spawn(process.execPath, [...fixed, ...argv], { stdio: "inherit" });
  // Whoever ends this process means the tests, and the systems that they started end with vitest.
  const end = (): void => void vitest.kill("SIGTERM");
  for (const signal of ["SIGTERM", "SIGHUP"] as const) process.on(signal, end);
  // A terminal's Ctrl-C reaches vitest as well; this process waits for it.
  process.on("SIGINT", () => undefined);
  const [code] = (await once(vitest, "close")) as [number | null];
  return code;
}

async function main(): Promise<void> {
  const argv = process.argv.slice(2);
  if (!isUnitOnly(argv)) {
    // vitest's set-up asks as well, seconds later and in the middle of a stack trace.
    try {
      await checkPrerequisites(NEEDS_OF_TESTS);
    } catch (error) {
      console.error(messageOf(error));
      process.exitCode = 1;
      return;
    }
  }
  const directory = mkdtempSync(path.join(tmpdir(), "mlflow-kserve-report-"));
  const reportFile = path.join(directory, "report.json");
  const status = await runVitest([`--outputFile.json=${reportFile}`, ...argv]);
  let report: Report = { numPassedTests: 0, numPendingTests: 0, testResults: [] };
  try {
    report = JSON.parse(readFileSync(reportFile, "utf8")) as Report;
  } catch {
    console.error("The tests did not come to an end");
  }
  rmSync(directory, { recursive: true, force: true });

  const failures = failuresOf(report);
  // What failed is said here once more: in a long log the first place is hard to find.
  for (const failure of failures) console.log(`FAILED ${failure}`);
  // An error outside of any file fails the run as well.
  const failed = status === 0 ? failures.length : Math.max(1, failures.length);
  const skipped = report.numPendingTests > 0 ? `, ${report.numPendingTests} skipped` : "";
  console.log(`${report.numPassedTests} passed, ${failed} failed${skipped}`);
  process.exitCode = failed > 0 ? 1 : 0;
}

void main();
