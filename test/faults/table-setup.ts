import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestProject } from "vitest/node";
import { markdownTable } from "./fault-table";
import type { FaultRow } from "./fault-table";

/**
 * Collects what the tests of a run record about faults, and at its end prints it as a table; the environment variable
 * RELIABILITY_TABLE names a file that gets it too.
 */
export default function setup(project: TestProject): () => void {
  const directory = mkdtempSync(path.join(tmpdir(), "mlflow-kserve-faults-"));
  const file = path.join(directory, "rows.jsonl");
  project.provide("faultRows", file);
  return () => {
    const lines = existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
    rmSync(directory, { recursive: true });
    if (lines.length === 0) return;
    const table = markdownTable(lines.map(line => JSON.parse(line) as FaultRow));
    console.log(`\n${table}\n`);
    const wanted = process.env.RELIABILITY_TABLE;
    if (wanted) writeFileSync(wanted, `${table}\n`);
  };
}
