// `npm test`: all tests, and as the last line how many passed and failed. Arguments go to vitest, for example a file or
// `--project unit`.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
}

const directory = mkdtempSync(path.join(tmpdir(), "mlflow-kserve-report-"));
const reportFile = path.join(directory, "report.json");
const { status } = spawnSync(
  process.execPath,
  [
    ...["node_modules/vitest/vitest.mjs", "run", "--reporter=default", "--reporter=json"],
    ...[`--outputFile.json=${reportFile}`, ...process.argv.slice(2)],
  ],
  { stdio: "inherit" },
);
let report: Report = { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0 };
try {
  report = JSON.parse(readFileSync(reportFile, "utf8")) as Report;
} catch {
  console.error("The tests did not come to an end");
}
rmSync(directory, { recursive: true, force: true });

// A file that cannot be loaded, or an error outside of any test, fails the run without failing a test.
const failed = status === 0 ? report.numFailedTests : Math.max(1, report.numFailedTests);
const skipped = report.numPendingTests > 0 ? `, ${report.numPendingTests} skipped` : "";
console.log(`${report.numPassedTests} passed, ${failed} failed${skipped}`);
process.exitCode = failed > 0 ? 1 : 0;
