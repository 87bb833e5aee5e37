import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { createMetrics } from "../../capabilities/observability/metrics";
import { COMPONENT, dashboards, panelQueries, ruleGroups } from "./manifests";

describe.each(dashboards())("the dashboard $title", ({ uid, schemaVersion, templating, panels }) => {
  const charts = panels.filter(({ type }) => type !== "row");

  it("is one that Grafana takes from a ConfigMap and finds again", () => {
    expect(uid).toMatch(/^[a-z-]{1,40}$/);
    expect(schemaVersion).toBeGreaterThanOrEqual(36);
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  });

  it("asks the data source that is chosen above it, and no other", () => {
    expect(templating.list.map(({ name, type }) => ({ name, type }))).toEqual([
      { name: "datasource", type: "datasource" },
    ]);
    for (const { title, datasource, targets = [] } of charts) {
      expect(datasource, title).toEqual({ type: "prometheus", uid: "${datasource}" });
      for (const target of targets) expect(target.datasource.uid, title).toBe("${datasource}");
    }
  });

  it("explains each panel and gives it a unit", () => {
    for (const { title, description = "", fieldConfig, targets = [] } of charts) {
      expect(description.length, title).toBeGreaterThan(20);
      expect(fieldConfig?.defaults.unit, title).toBeTruthy();
      expect(targets.length, title).toBeGreaterThan(0);
    }
  });

  it("has no panel over another", () => {
    const cells = panels.flatMap(({ title, gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, cell) => ({ title, at: `${x + (cell % w)},${y + Math.floor(cell / w)}` })),
    );
    const taken = new Map<string, string>();
    for (const { title, at } of cells) {
      expect(taken.get(at) ?? title, at).toBe(title);
      taken.set(at, title);
    }
    expect(panels.every(({ gridPos: { x, w } }) => x + w <= 24)).toBe(true);
  });
});

describe("what is looked at", () => {
  const expressions = [...ruleGroups().flatMap(({ rules }) => rules), ...panelQueries()].map(({ expr }) => expr);

  it("is all that the module tells, and documents", async () => {
    const metrics = createMetrics();
    metrics.observeQueue(() => 0);
    metrics.observeServices(() => undefined);
    const names = [...(await metrics.render()).matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name ?? "");
    expect(names.filter(name => !expressions.some(expression => expression.includes(name)))).toEqual([]);
    const documented = readFileSync(path.join(COMPONENT, "../../../docs/http-api.md"), "utf8");
    expect(names.filter(name => !documented.includes(`\`${name}`))).toEqual([]);
  });
});
