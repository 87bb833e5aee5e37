import { readFileSync } from "node:fs";
import path from "node:path";
import { loadAll } from "js-yaml";

/** The kustomize component whose parts are looked at here. */
export const COMPONENT = path.join(__dirname, "../../k8s/components/monitoring");

/** A rule of Prometheus: one that records a series, or one that raises an alert. */
export interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface AlertRule extends Rule {
  readonly alert: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface RuleGroup {
  readonly name: string;
  readonly rules: readonly Rule[];
}

/** All groups of the component's PrometheusRules, as a Prometheus takes them in a file. */
export function ruleGroups(): RuleGroup[] {
  return ["alerts.yaml", "service-levels.yaml"].flatMap(file => {
    const objects = loadAll(readFileSync(path.join(COMPONENT, file), "utf8")) as { spec: { groups: RuleGroup[] } }[];
    return objects.flatMap(({ spec }) => spec.groups);
  });
}

/** Those rules that raise alerts. */
export function alertRules(): AlertRule[] {
  const rules = ruleGroups().flatMap(group => group.rules);
  return rules.filter((rule): rule is AlertRule => rule.alert !== undefined);
}

/** A query of a dashboard's panel. */
export interface PanelQuery {
  readonly dashboard: string;
  readonly panel: string;
  readonly expr: string;
}

/** What the tests look at of a Grafana panel. */
export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly datasource?: { readonly type: string; readonly uid: string };
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly targets?: readonly { readonly expr: string; readonly datasource: { readonly uid: string } }[];
}

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] };
  readonly panels: readonly Panel[];
}

/** Both of the component's dashboards. */
export function dashboards(): Dashboard[] {
  return ["operator.json", "models.json"].map(
    file => JSON.parse(readFileSync(path.join(COMPONENT, "dashboards", file), "utf8")) as Dashboard,
  );
}

/** All queries of all panels, with Grafana's own variable for a range filled in. */
export function panelQueries(): PanelQuery[] {
  return dashboards().flatMap(({ title: dashboard, panels }) =>
    panels.flatMap(({ title: panel, targets = [] }) =>
      targets.map(({ expr }) => ({ dashboard, panel, expr: expr.replaceAll("$__rate_interval", "1m") })),
    ),
  );
}
