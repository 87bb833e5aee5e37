import { writeFileSync } from "node:fs";
import path from "node:path";
import type { Reporter, TestModule, TestSuite } from "vitest/node";

/** What `npm test` says at its end. */
export interface Totals {
  readonly passed: number;
  readonly skipped: number;
  /** A line for each test that failed, and for each file or group of tests that failed outside of its tests. */
  readonly failures: readonly string[];
}

/** The variable that names the file for the totals. */
export const TOTALS_FILE = "MLFLOW_KSERVE_TEST_TOTALS";

/** Writes the totals of a run as JSON. vitest's own JSON leaves out why a `beforeAll` of a group of tests failed. */
export default class TotalsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly { readonly message: string }[]): void {
    const tests = modules.flatMap(module => [...module.children.allTests()]);
    const failedTests = tests.filter(test => test.result().state === "failed");
    const groups: readonly (TestModule | TestSuite)[] = modules.flatMap(module => [
      module,
      ...module.children.allSuites(),
    ]);
    const totals: Totals = {
      passed: tests.filter(test => test.result().state === "passed").length,
      skipped: tests.filter(test => test.result().state === "skipped").length,
      failures: [
        ...failedTests.map(test => failure(test.module, test.fullName, test.result().errors?.[0]?.message)),
        ...groups.flatMap(group =>
          group.errors().map(({ message }) => {
            return group.type === "module"
              ? failure(group, undefined, message)
              : failure(group.module, group.fullName, message);
          }),
        ),
        ...unhandled.map(({ message }) => `outside of any test: ${message}`),
      ],
    };
    const file = process.env[TOTALS_FILE];
    if (file !== undefined) writeFileSync(file, JSON.stringify(totals));
  }
}

/** The first lines of a message: a command's own words stand below the line that says how it ended. */
function failure(module: TestModule, name: string | undefined, message = "no message"): string {
  const where = [path.relative(process.cwd(), module.moduleId), ...(name === undefined ? [] : [name])].join(": ");
  const said = message.trim().split("\n").slice(0, 4).join(" | ");
  return `${where}: ${said.slice(0, 600)}`;
}
