/** One thing that is wrong with a template. */
export interface TemplateProblem {
  /** What is wrong, as a sentence without a full stop. */
  readonly cause: string;
  /** What to do about it, as a sentence without a full stop. */
  readonly cure: string;
  /** Offset into the template's text, when the problem has a place. */
  readonly offset?: number | undefined;
}

/** A place in a text, both counted from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** A template that cannot be used. Its message has one line for each problem: `origin:line:column: cause: cure`. */
export class TemplateError extends Error {
  override readonly name = "TemplateError";
  /** The problems, in the order of their places. */
  readonly problems: readonly (TemplateProblem & Partial<Place>)[];

  /**
   * @param origin what the user knows the template by: a file name, or "built-in template"
   * @param text the template, to find the lines of the problems
   */
  constructor(origin: string, text: string, problems: readonly TemplateProblem[]) {
    const placed = inOrder(problems).map(problem =>
      problem.offset === undefined ? problem : { ...problem, ...placeAt(text, problem.offset) },
    );
    super(placed.map(problem => describe(origin, problem)).join("\n"));
    this.problems = placed;
  }
}

/** The line and column of an offset into a text. */
function placeAt(text: string, offset: number): Place {
  const before = text.slice(0, offset);
  return { line: before.split("\n").length, column: offset - before.lastIndexOf("\n") };
}

function inOrder(problems: readonly TemplateProblem[]): TemplateProblem[] {
  const different = new Map(
    problems.map(problem => [`${problem.offset ?? ""} ${problem.cause} ${problem.cure}`, problem]),
  );
  return [...different.values()].sort((one, other) => (one.offset ?? Infinity) - (other.offset ?? Infinity) || 0);
}

function describe(origin: string, problem: TemplateProblem & Partial<Place>): string {
  const { line, column, cause, cure } = problem;
  return `${origin}${line === undefined || column === undefined ? "" : `:${line}:${column}`}: ${cause}: ${cure}`;
}
