import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { load } from "js-yaml";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { prometheusPrograms } from "../testbed/prometheus";
import { alertRules, ruleGroups } from "./manifests";
import type { RuleGroup } from "./manifests";

const UNIT_TESTS = path.join(__dirname, "rules");
const FILES = readdirSync(UNIT_TESTS);
const RUNBOOK = readFileSync(path.join(__dirname, "../../docs/monitoring.md"), "utf8");

let program: string;

beforeAll(async () => {
  program = (await prometheusPrograms()).promtool;
});

/** Runs promtool in a folder. */
function promtool(directory: string, ...args: string[]): { status: number | null; output: string } {
  const { error, status, stdout, stderr } = spawnSync(program, args, { cwd: directory, encoding: "utf8" });
  if (error !== undefined) throw error;
  return { status, output: stdout + stderr };
}

/** A folder, gone with the test, with the unit tests and the rules that they are about. */
function folderWith(groups: readonly RuleGroup[]): string {
  const directory = mkdtempSync(path.join(tmpdir(), "mlflow-kserve-rules-"));
  onTestFinished(() => {
    rmSync(directory, { recursive: true, force: true });
  });
  // YAML has JSON in it.
  writeFileSync(path.join(directory, "rules.json"), JSON.stringify({ groups }));
  for (const file of FILES) writeFileSync(path.join(directory, file), readFileSync(path.join(UNIT_TESTS, file)));
  return directory;
}

/** promtool compares every annotation; the unit tests state the one that people see first. */
function withSummariesOnly(groups: readonly RuleGroup[]): RuleGroup[] {
  return groups.map(group => ({
    ...group,
    rules: group.rules.map(({ annotations, ...rule }) =>
      annotations === undefined ? rule : { ...rule, annotations: { summary: annotations.summary ?? "" } },
    ),
  }));
}

interface UnitTest {
  readonly alert_rule_test?: readonly { readonly alertname: string; readonly exp_alerts: readonly unknown[] }[];
}

// promtool computes hours and days of samples, for which a busy machine needs a while.
describe("the rules", { timeout: 300_000 }, () => {
  it("are valid for promtool", () => {
    const directory = folderWith(ruleGroups());
    expect(promtool(directory, "check", "rules", "rules.json")).toMatchObject({ status: 0 });
  });

  it.each(FILES)("fire when they should, and not when they should not: %s", file => {
    const directory = folderWith(withSummariesOnly(ruleGroups()));
    const { status, output } = promtool(directory, "test", "rules", file);
    expect(output).toContain("SUCCESS");
    expect(status).toBe(0);
  });

  it("would be found out if one of them were wrong", () => {
    const groups = withSummariesOnly(ruleGroups()).map(group => ({
      ...group,
      rules: group.rules.map(rule => (rule.alert === "MlflowKserveDown" ? { ...rule, for: "30m" } : rule)),
    }));
    expect(promtool(folderWith(groups), "test", "rules", "processes.yaml").status).not.toBe(0);
  });

  it("each have a test that fires and one that does not", () => {
    const tests = FILES.flatMap(file => {
      const { tests } = load(readFileSync(path.join(UNIT_TESTS, file), "utf8")) as { tests: UnitTest[] };
      return tests.flatMap(test => test.alert_rule_test ?? []);
    });
    const names = [...new Set(alertRules().map(({ alert }) => alert))];
    for (const name of names) {
      const about = tests.filter(({ alertname }) => alertname === name);
      expect(
        about.some(({ exp_alerts }) => exp_alerts.length > 0),
        `${name} fires`,
      ).toBe(true);
      expect(
        about.some(({ exp_alerts }) => exp_alerts.length === 0),
        `${name} does not fire`,
      ).toBe(true);
    }
    expect(tests.map(({ alertname }) => alertname).filter(name => !names.includes(name))).toEqual([]);
  });
});

describe("the alerts", () => {
  it("say what they mean, and where the runbook is", () => {
    for (const { alert, labels, annotations } of alertRules()) {
      expect(labels.severity, alert).toMatch(/^(critical|warning|info)$/);
      expect(Object.keys(annotations).sort(), alert).toEqual(["description", "runbook_url", "summary"]);
      expect(annotations.runbook_url).toBe(`docs/monitoring.md#${alert.toLowerCase()}`);
      expect(RUNBOOK, alert).toMatch(new RegExp(`^### ${alert}$`, "m"));
    }
  });

  it("are all that the runbook has", () => {
    const described = [...RUNBOOK.matchAll(/^### (Mlflow\w+)$/gm)].map(([, name]) => name);
    expect(described.sort()).toEqual([...new Set(alertRules().map(({ alert }) => alert))].sort());
  });
});
