import { checkObject, checkTemplate, type InferenceServiceObject, sampleVariables, show } from "./template-checks";
import { TemplateError, type TemplateProblem } from "./template-error";
import { readTemplate, unknownVariable, type TemplateSource } from "./template-source";
import { DuplicateKeyError, parseTree, type TemplateTree } from "./template-tree";
import { isEmptyValue, isVariable, type TemplateVariable, type TemplateVariables } from "./template-variables";

export type { InferenceServiceObject } from "./template-checks";
export { TemplateError } from "./template-error";
export type { JsonObject, JsonValue } from "./template-tree";
export { TEMPLATE_VARIABLES, type TemplateVariable, type TemplateVariables } from "./template-variables";

/** A template that was read, parsed and tried out; it only has to be filled in. */
export interface CompiledTemplate {
  /**
   * The InferenceService for these values: a new plain object that can be written as JSON.
   *
   * @throws TemplateError when the values do not go with the template: a variable has no value, a number is not
   *   finite, or two keys of a mapping become equal. A template that compiled has no other problem.
   */
  render: (variables: TemplateVariables) => InferenceServiceObject;
  /** Whether what is rendered depends on this variable: a tag or a section names it, other than in a YAML comment. */
  uses: (variable: TemplateVariable) => boolean;
}

// These are empty for some versions (a version without a run) or settings; the others never are.
const CAN_BE_EMPTY: ReadonlySet<TemplateVariable> = new Set<TemplateVariable>([
  "run_id",
  "experiment_id",
  "cpu_request",
  "cpu_limit",
  "memory_request",
  "memory_limit",
]);

/**
 * Reads an InferenceService template: YAML with mustache tags. Values cannot break out of their place, because the YAML
 * is parsed without them: an opaque word stands for each `{{x}}`, `{{{x}}}` or `{{&x}}` while mustache and the YAML
 * parser work, and rendering replaces the words in the parsed tree. A scalar that is one variable becomes exactly its
 * value, quoted or not; in a longer text the value is put in between. Sections work by a value being empty, so there
 * is one tree for each combination of empty and not empty that sections ask for, parsed when first needed.
 *
 * Every combination that can occur is tried out here with sample values, so a broken template is found at the start.
 *
 * @param text the template
 * @param origin what the user knows it by (a file name), for the messages
 * @throws TemplateError with all problems found: unknown variables, partials, sections that do not match, invalid YAML,
 *   more than one document, anything but an InferenceService of the variables' name and namespace, identity labels
 *   or annotations with other values than ours.
 */
export function compileTemplate(text: string, origin: string): CompiledTemplate {
  const problems: TemplateProblem[] = [];
  const source = readTemplate(text, problems);
  if (source === undefined) throw new TemplateError(origin, text, problems);
  const trees = new TreeCache(source, text);

  const usedNowhere = new Set(source.placeholders);
  let parsed = true;
  for (const sample of samples(source.sectionVariables)) {
    const found: TemplateProblem[] = [];
    const tree = trees.get(sample, found);
    tree?.placeholders.forEach(placeholder => usedNowhere.delete(placeholder));
    parsed &&= tree !== undefined;
    if (tree !== undefined) tryOut(tree, sample, found);
    problems.push(...found);
  }
  // In a YAML comment an unknown name does no harm. Where a tree is missing, it is not known what is a comment.
  const seen = source.placeholders.filter(placeholder => !parsed || !usedNowhere.has(placeholder));
  problems.push(...seen.filter(({ variable }) => !isVariable(variable)).map(unknownVariable));
  if (problems.length > 0) throw new TemplateError(origin, text, problems);

  const used = new Set<string>([...source.sectionVariables, ...seen.map(({ variable }) => variable)]);
  return {
    render(variables) {
      const late: TemplateProblem[] = [];
      const tree = trees.get(variables, late);
      const object = tree === undefined ? undefined : fill(tree, variables, late);
      if (object === undefined || late.length > 0) throw new TemplateError(origin, text, late);
      return checkObject(object, variables);
    },
    uses: variable => used.has(variable),
  };
}

/**
 * The object with these labels and annotations added. They win over the template's own of the same key. The object
 * handed in stays as it is.
 */
export function withIdentity(
  object: InferenceServiceObject,
  labels: Readonly<Record<string, string>>,
  annotations: Readonly<Record<string, string>>,
): InferenceServiceObject {
  const { metadata } = object;
  return {
    ...object,
    metadata: {
      ...metadata,
      labels: { ...metadata.labels, ...labels },
      annotations: { ...metadata.annotations, ...annotations },
    },
  };
}

/** A template's trees, one for each set of empty variables. */
class TreeCache {
  private readonly trees = new Map<string, TemplateTree>();

  constructor(
    private readonly source: TemplateSource,
    private readonly text: string,
  ) {}

  get(variables: TemplateVariables, problems: TemplateProblem[]): TemplateTree | undefined {
    const empty = this.source.sectionVariables.filter(variable => isEmptyValue(variables[variable]));
    const pattern = empty.join(" ");
    const known = this.trees.get(pattern);
    if (known !== undefined) return known;
    const expanded = this.source.expand(variable => empty.includes(variable));
    const tree = parseTree(expanded, this.text, this.source.placeholders, problems);
    if (tree !== undefined) this.trees.set(pattern, tree);
    return tree;
  }
}

/** Sample values for each combination of empty and not empty that can occur in the variables that sections ask for. */
function samples(sectionVariables: readonly TemplateVariable[]): TemplateVariables[] {
  return sectionVariables
    .filter(variable => CAN_BE_EMPTY.has(variable))
    .reduce<
      TemplateVariables[]
    >((list, variable) => list.flatMap(sample => [sample, { ...sample, [variable]: "" }]), [sampleVariables()]);
}

function tryOut(tree: TemplateTree, sample: TemplateVariables, problems: TemplateProblem[]) {
  // Unknown variables are reported by name; here any text will do.
  const object = fill(tree, sample, problems, () => "unknown");
  if (object !== undefined) checkTemplate(object, sample, problems);
}

function fill(
  tree: TemplateTree,
  variables: TemplateVariables,
  problems: TemplateProblem[],
  otherwise?: (variable: string) => string,
) {
  try {
    return tree.fill(({ variable, offset }) => {
      if (!isVariable(variable)) return otherwise?.(variable) ?? "";
      // Callers in JavaScript, or with a cast, may leave one out: better no service than one with "undefined" in it.
      const value = variables[variable] as string | number | undefined;
      if (typeof value === "string" || (typeof value === "number" && Number.isFinite(value))) return value;
      problems.push({
        offset,
        cause: `the value of {{${variable}}} is ${String(value)}`,
        cure: "give a text or a finite number",
      });
      return "";
    });
  } catch (error) {
    if (!(error instanceof DuplicateKeyError)) throw error;
    problems.push({
      cause: `a mapping has the key ${show(error.key)} twice`,
      cure: "give the keys of a mapping values that are always different",
    });
    return undefined;
  }
}
