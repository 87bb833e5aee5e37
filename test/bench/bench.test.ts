import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, inject, it } from "vitest";
import { createNamespace, testKubectl } from "../testbed/namespaces";
import { writeDocument } from "./document";
import { PARTS } from "./options";
import { describeMachine, runBench } from "./run";
import { textTables } from "./tables";
import { QUICK_SIZES } from "./world";

// Whether it measures, not what: everything is small, and KServe works beside it.
it("measures every part, finds nothing wrong, and writes it down", async () => {
  const problems: string[] = [];
  const measured = await runBench(
    {
      kubeconfig: inject("kubeconfig"),
      kubectl: testKubectl(),
      python: inject("python"),
      logDirectory: inject("logDirectory"),
      apiServerPart: undefined,
      sizes: QUICK_SIZES,
      createNamespace: prefix => createNamespace(`bench-${prefix}`),
      say: () => undefined,
      problem: what => problems.push(what),
      profileDirectory: undefined,
    },
    PARTS,
    inject("mlflowTrackingUri"),
  );
  const about = { made: "2026-01-02T03:04:05Z", command: "npm run bench", machine: describeMachine("running") };
  const results = { ...about, ...measured, problems };

  // As a text, so that a failure says what they are.
  expect(problems.join("\n")).toBe("");
  expect(results.deliveries?.levels.map(({ kind, clients }) => [kind, clients])).toEqual([
    ["create", 1],
    ["create", 8],
    ["update", 1],
    ["update", 8],
    ["remove", 8],
    ["without the tag", 8],
    ["create, from a run", 8],
  ]);
  for (const { limit, deliveries } of results.deliveries?.levels ?? []) {
    expect(limit).toBeGreaterThan(0);
    expect(deliveries).toMatchObject({ count: QUICK_SIZES.deliveries });
  }
  expect(results.rejections?.kinds.map(({ load }) => load.count)).toEqual([200, 200, 200]);
  expect(new Set(results.httpClients?.levels.map(({ clients }) => clients))).toEqual(new Set([1, 8]));
  expect(results.poll?.sizes.map(({ versions, tagged }) => [versions, tagged])).toEqual([
    [60, 6],
    [60, 1],
  ]);
  for (const { steps } of results.poll?.sizes ?? []) {
    expect(steps.find(({ step }) => step === "nothing to do")).toMatchObject({
      // One for tagged versions, one for models that follow their aliases.
      mlflowRequests: 2,
      // One for the services, one for endpoints.
      apiServerRequests: 2,
    });
  }
  expect(results.statusTags?.levels.map(({ clients, on }) => [clients, on.count])).toEqual([
    [1, QUICK_SIZES.deliveries],
    [8, QUICK_SIZES.deliveries],
  ]);
  expect(results.statusTags?.ready.person.meanwhile.count).toBeGreaterThan(0);
  expect(results.statusTags?.page.changes.count).toBe(QUICK_SIZES.personsTags);
  expect(results.burst).toMatchObject({ tags: QUICK_SIZES.burst, lost: 0 });
  expect(results.start?.endpoint).toHaveLength(1);
  expect(textTables(results).join("\n")).not.toContain("NaN");

  const directory = mkdtempSync(path.join(tmpdir(), "mlflow-kserve-bench-"));
  try {
    const page = path.join(directory, "page.md");
    writeFileSync(
      page,
      "# Page\n\n<!-- Measured: begin -->\n\nfigures of another machine\n\n<!-- Measured: end -->\n\nThe rest.\n",
    );
    await writeDocument(page, results);
    const text = readFileSync(page, "utf8");
    expect(text).toContain("The rest.");
    expect(text).not.toContain("figures of another machine");
    expect(JSON.parse(readFileSync(path.join(directory, "page", "results.json"), "utf8"))).toEqual(results);
    expect(readFileSync(path.join(directory, "page", "results.svg"), "utf8")).toMatch(/^<svg .*<\/svg>\n$/s);
  } finally {
    rmSync(directory, { recursive: true });
  }
}, 900_000);
