// `npm test`: all tests, and as the last line how many passed and failed. Arguments go to vitest, for example a file or
// `--project unit`.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { messageOf } from "../capabilities/observability/logging";
import { checkPrerequisites, NEEDS_OF_TESTS } from "./testbed/prerequisites";
import { TOTALS_FILE } from "./totals-reporter";
import type { Totals } from "./totals-reporter";

/** Whether these arguments choose the tests that need no systems. */
function isUnitOnly(argv: readonly string[]): boolean {
  return /(^| )--project[= ]unit( |$)/.test(argv.join(" "));
}

/** @returns its exit code; null when a signal ended it */
async function runVitest(argv: readonly string[], totalsFile: string): Promise<number | null> {
  const reporters = ["--reporter=default", `--reporter=${path.join(__dirname, "totals-reporter.ts")}`];
  const vitest = spawn(process.execPath, ["node_modules/vitest/vitest.mjs", "run", ...reporters, ...argv], {
    stdio: "inherit",
    env: { ...process.env, [TOTALS_FILE]: totalsFile },
  });
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
  const totalsFile = path.join(directory, "totals.json");
  const status = await runVitest(argv, totalsFile);
  let totals: Totals = { passed: 0, skipped: 0, failures: [] };
  try {
    totals = JSON.parse(readFileSync(totalsFile, "utf8")) as Totals;
  } catch {
    console.error("The tests did not come to an end");
  }
  rmSync(directory, { recursive: true, force: true });

  const { passed, skipped, failures } = totals;
  // What failed is said here once more: in a long log the first place is hard to find.
  for (const failure of failures) console.log(`FAILED ${failure}`);
  // What vitest calls a failure is one, also without a line of its own.
  const failed = status === 0 ? failures.length : Math.max(1, failures.length);
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
  process.exitCode = failed > 0 ? 1 : 0;
}

void main();
