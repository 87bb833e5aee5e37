import { createHash } from "node:crypto";
import mustache from "mustache";
import type { TemplateProblem } from "./template-error";
import { isVariable, nearestVariable, TEMPLATE_VARIABLES, type TemplateVariable } from "./template-variables";

/** A tag that puts in a value, one for each place where the template has one. */
export interface Placeholder {
  /** The name in the tag; not always one of ours: an unknown name in a YAML comment does no harm. */
  readonly variable: string;
  readonly offset: number;
}

/** What mustache makes of a template: its structure, without any values. */
export interface TemplateSource {
  readonly placeholders: readonly Placeholder[];
  /** The variables that sections ask for, so that the YAML differs with their being empty or not. */
  readonly sectionVariables: readonly TemplateVariable[];
  /** The YAML with an opaque word for each placeholder, when these variables are empty. */
  expand: (isEmpty: (variable: TemplateVariable) => boolean) => ExpandedTemplate;
}

/** A YAML text in which each value is represented by a word of letters and digits that occurs nowhere else. */
export interface ExpandedTemplate {
  readonly yaml: string;
  /** Where an offset into `yaml` comes from in the template. */
  templateOffset: (yamlOffset: number) => number;
}

/** How the opaque words of a template look: a regular expression's source with one group, the placeholder's index. */
export function placeholderPattern(text: string): string {
  return `${nonce(text)}x(\\d+)x`;
}

// The template would have to hold its own hash for such a word to be there by itself, however text is put together
// by removed tags and escapes. The leading letter keeps YAML from seeing a number; "w" because, unlike most, a YAML escape
// cannot begin with it: `"\{{name}}"` is an error instead of half a word.
function nonce(text: string): string {
  return `w${createHash("sha256").update(text).digest("hex").slice(0, 32)}`;
}

/**
 * Reads a template's mustache tags. Problems are collected rather than thrown; with any, the result is undefined only
 * if mustache itself cannot make sense of the text.
 */
export function readTemplate(text: string, problems: TemplateProblem[]): TemplateSource | undefined {
  let spans: Span[];
  try {
    // A writer of its own: mustache's shared one keeps every template it ever saw.
    spans = new mustache.Writer().parse(text) as Span[];
  } catch (error) {
    problems.push(syntaxProblem(text, error));
    return undefined;
  }
  const placeholders: Placeholder[] = [];
  const indexes = new Map<Span, number>();
  const sectionVariables = new Set<TemplateVariable>();

  const visit = (list: readonly Span[], enclosing: string | undefined) => {
    for (const span of list) {
      const [type, value, offset] = span;
      // `{{.}}` is the value that the section around it asked for.
      const variable = value === "." && enclosing !== undefined ? enclosing : value;
      if (type === "name" || type === "&") {
        indexes.set(span, placeholders.push({ variable, offset }) - 1);
      } else if (type === "#" || type === "^") {
        if (isVariable(value)) sectionVariables.add(value);
        else problems.push(unknownVariable({ variable: value, offset }));
        visit(span[4] as Span[], type === "#" ? value : enclosing);
      } else if (type === ">") {
        problems.push({
          offset,
          cause: `{{>${value}}} includes another template, and there is only this one`,
          cure: "write its text here",
        });
      }
    }
  };
  visit(spans, undefined);

  const word = nonce(text);
  return {
    placeholders,
    sectionVariables: [...sectionVariables],
    expand(isEmpty) {
      const pieces: Piece[] = [];
      collect(spans, isEmpty, pieces, span => `${word}x${indexes.get(span) ?? ""}x`);
      return join(pieces);
    },
  };
}

/** A name that is none of our variables, with the nearest that is. */
export function unknownVariable({ variable, offset }: Placeholder): TemplateProblem {
  if (/[\n{}]/.test(variable)) {
    return { offset, cause: "a {{ has no }} of its own", cure: "close the tag, like {{name}}" };
  }
  const nearest = nearestVariable(variable);
  return {
    offset,
    cause: `{{${variable}}} is no variable`,
    cure:
      nearest === undefined ? `write one of ${TEMPLATE_VARIABLES.join(", ")}` : `write {{${nearest}}} if that is meant`,
  };
}

// mustache's types know these only by position: type, value, start, end, children, end of the section.
type Span = readonly [type: string, value: string, start: number, end: number, children?: unknown, ...rest: unknown[]];

interface Piece {
  readonly text: string;
  readonly offset: number;
  readonly literal: boolean;
}

function collect(
  spans: readonly Span[],
  isEmpty: (variable: TemplateVariable) => boolean,
  pieces: Piece[],
  wordFor: (span: Span) => string,
) {
  for (const span of spans) {
    const [type, value, offset, , children] = span;
    if (type === "text") pieces.push({ text: value, offset, literal: true });
    else if (type === "name" || type === "&") pieces.push({ text: wordFor(span), offset, literal: false });
    else if ((type === "#" || type === "^") && isVariable(value) && isEmpty(value) === (type === "^")) {
      collect(children as Span[], isEmpty, pieces, wordFor);
    }
  }
}

function join(pieces: readonly Piece[]): ExpandedTemplate {
  return {
    yaml: pieces.map(piece => piece.text).join(""),
    templateOffset(yamlOffset) {
      let start = 0;
      for (const { text, offset, literal } of pieces) {
        if (yamlOffset < start + text.length) return literal ? offset + yamlOffset - start : offset;
        start += text.length;
      }
      const last = pieces.at(-1);
      return last === undefined ? 0 : last.offset + (last.literal ? last.text.length : 0);
    },
  };
}

function syntaxProblem(text: string, error: unknown): TemplateProblem {
  const message = error instanceof Error ? error.message : String(error);
  const [, what = message, name = ""] =
    /^(Unclosed section|Unopened section|Unclosed tag)(?: "(.*)")?/s.exec(message) ?? [];
  const offset = Number(/ at (\d+)$/.exec(message)?.[1] ?? 0);
  switch (what) {
    case "Unclosed tag":
      return { offset: text.lastIndexOf("{{"), cause: "a {{ has no }}", cure: "close the tag, like {{name}}" };
    case "Unclosed section":
      return {
        offset: Math.max(text.lastIndexOf(`#${name}`, offset), text.lastIndexOf(`^${name}`, offset), 0),
        cause: `the section ${name} is not closed`,
        cure: `write {{/${name}}} where it ends`,
      };
    case "Unopened section":
      return { offset, cause: `{{/${name}}} closes no section`, cure: `remove it, or open one with {{#${name}}}` };
    default:
      return { offset, cause: `mustache cannot read the template (${message})`, cure: "correct its tags" };
  }
}
