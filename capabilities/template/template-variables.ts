/** The variables of an InferenceService template. */
export const TEMPLATE_VARIABLES = [
  "name",
  "namespace",
  "model_name",
  "model_label",
  "model_version",
  "storage_uri",
  "run_id",
  "experiment_id",
  "cpu_request",
  "cpu_limit",
  "memory_request",
  "memory_limit",
] as const;

export type TemplateVariable = (typeof TEMPLATE_VARIABLES)[number];

/**
 * What a template's variables stand for. A text that MLflow does not have (a version without a run) is empty. Only a
 * value of type number becomes a number, and only where the template does not quote it; a text stays a text.
 */
export type TemplateVariables = Readonly<Record<TemplateVariable, string | number>>;

/** Whether this is the name of a variable. */
export function isVariable(name: string): name is TemplateVariable {
  return (TEMPLATE_VARIABLES as readonly string[]).includes(name);
}

/** Whether a section sees a value as empty: mustache's rule, by which the empty text and the number 0 are. */
export function isEmptyValue(value: string | number): boolean {
  return value === "" || value === 0;
}

/** The variable that somebody who wrote this name most likely meant; undefined when none is near. */
export function nearestVariable(name: string): TemplateVariable | undefined {
  const simple = (text: string) => text.toLowerCase().replace(/[^a-z]/g, "");
  const [nearest] = TEMPLATE_VARIABLES.map(variable => ({
    variable,
    distance: editDistance(simple(name), simple(variable)),
  })).sort((one, other) => one.distance - other.distance);
  return nearest !== undefined && nearest.distance <= Math.max(1, name.length / 3) ? nearest.variable : undefined;
}

// Levenshtein's distance, row by row.
function editDistance(from: string, to: string): number {
  let row = [...Array(to.length + 1).keys()];
  for (const [index, letter] of Array.from(from).entries()) {
    const next = [index + 1];
    for (const [column, other] of Array.from(to).entries()) {
      const change = (row[column] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(change, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
