import {
  constructFromEvents,
  CORE_SCHEMA,
  defineScalarTag,
  mergeTag,
  NOT_RESOLVED,
  parseEvents,
  realMapTag,
  type Schema,
  YAMLException,
} from "js-yaml";
import { differencesToKubectl } from "./kubectl-differences";
import type { TemplateProblem } from "./template-error";
import { placeholderPattern, type ExpandedTemplate, type Placeholder } from "./template-source";

/** What JSON can hold. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;

/** A JSON object. It has no prototype's values to trip over: every key, `__proto__` too, is its own. */
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/** The value of a placeholder at the time of rendering. */
export type ValueOf = (placeholder: Placeholder) => string | number;

/** A template's YAML, parsed once: what is left is to put the values in. */
export interface TemplateTree {
  /** The placeholders that ended up in the tree rather than in a YAML comment. */
  readonly placeholders: readonly Placeholder[];
  /** @throws DuplicateKeyError when two keys of a mapping are equal with these values. */
  fill: (valueOf: ValueOf) => JsonValue;
}

/** Two keys of a mapping became the same by the values put into them. */
export class DuplicateKeyError extends Error {
  override readonly name = "DuplicateKeyError";
  constructor(readonly key: string) {
    super(`a mapping has the key ${JSON.stringify(key)} twice`);
  }
}

// Far more than any InferenceService has; a template of nested aliases would otherwise grow without end.
const MAXIMUM_NODES = 10_000;
const MAXIMUM_DEPTH = 100;

/** A plain (not quoted) scalar that is exactly one placeholder. */
class PlainPlaceholder {
  constructor(readonly index: number) {}
}

type Fill = (valueOf: ValueOf) => JsonValue;
type FillKey = (valueOf: ValueOf) => string;

/**
 * Parses the YAML of a template with YAML 1.2's core schema plus merge keys (`<<`), in which words stand for the
 * placeholders, so no value is ever read as YAML. What kubectl would read otherwise is a problem. Problems are collected;
 * with any, the result is undefined.
 */
export function parseTree(
  expanded: ExpandedTemplate,
  text: string,
  all: readonly Placeholder[],
  problems: TemplateProblem[],
): TemplateTree | undefined {
  const words = new RegExp(placeholderPattern(text), "g");
  try {
    const events = parseEvents(expanded.yaml, { maxDepth: MAXIMUM_DEPTH });
    const documents = constructFromEvents(events, { source: expanded.yaml, schema: schemaWith(words.source) });
    if (documents.length !== 1) {
      problems.push(
        documents.length === 0
          ? { cause: "the template is empty", cure: "write an InferenceService, or leave the setting out" }
          : {
              cause: `the template holds ${documents.length} YAML documents`,
              cure: "keep one, the InferenceService, and remove the lines that hold only ---",
            },
      );
      return undefined;
    }
    const builder = new TreeBuilder(words, all);
    const fill = builder.node(documents[0], "", 0);
    const differences = differencesToKubectl(expanded.yaml, events).map(
      (difference): TemplateProblem => ({ ...difference, offset: expanded.templateOffset(difference.offset) }),
    );
    problems.push(...builder.problems, ...differences);
    return builder.problems.length + differences.length > 0 ? undefined : { placeholders: [...builder.used], fill };
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    problems.push(yamlProblem(error, expanded, words, all));
    return undefined;
  }
}

function schemaWith(word: string): Schema {
  const whole = new RegExp(`^${word}$`);
  const placeholderTag = defineScalarTag("tag:mlflow-kserve,2025:placeholder", {
    implicit: true,
    implicitFirstChars: [word.charAt(0)],
    resolve: source => {
      const index = whole.exec(source)?.[1];
      return index === undefined ? NOT_RESOLVED : new PlainPlaceholder(Number(index));
    },
    identify: () => false,
  });
  return CORE_SCHEMA.withTags(realMapTag, mergeTag, placeholderTag);
}

function yamlProblem(
  error: YAMLException,
  expanded: ExpandedTemplate,
  words: RegExp,
  all: readonly Placeholder[],
): TemplateProblem {
  const reason = error.reason.replace(words, (_, index: string) => `{{${all[Number(index)]?.variable ?? ""}}}`);
  return {
    offset: error.mark === undefined ? undefined : expanded.templateOffset(error.mark.position),
    cause: `this is no valid YAML (${reason})`,
    cure: "correct it here or in the line above; a variable needs no quotes",
  };
}

/** Turns what js-yaml loaded into functions that put the values in. */
class TreeBuilder {
  readonly problems: TemplateProblem[] = [];
  readonly used = new Set<Placeholder>();
  private nodes = 0;

  constructor(
    private readonly words: RegExp,
    private readonly all: readonly Placeholder[],
  ) {}

  node(value: unknown, path: string, depth: number): Fill {
    if (++this.nodes > MAXIMUM_NODES || depth > MAXIMUM_DEPTH) {
      if (this.problems.length === 0) {
        const cause = `the template has more than ${MAXIMUM_NODES} values or ${MAXIMUM_DEPTH} levels`;
        this.problems.push({ cause, cure: "remove YAML aliases (*name) that refer to themselves or to each other" });
      }
      return () => null;
    }
    if (value instanceof PlainPlaceholder) {
      const placeholder = this.placeholder(value.index);
      return valueOf => valueOf(placeholder);
    }
    if (typeof value === "string") return this.text(value);
    if (Array.isArray(value)) {
      const items = value.map((item, index) => this.node(item, `${path}[${index}]`, depth + 1));
      return valueOf => items.map(item => item(valueOf));
    }
    if (value instanceof Map) return this.mapping(value, path, depth);
    if (value === null || typeof value === "boolean") return () => value;
    if (typeof value === "number" && Number.isFinite(value)) return () => value;
    this.problems.push({
      cause: `${path || "the template"} has a value that JSON cannot hold`,
      cure: "write a number",
    });
    return () => null;
  }

  private mapping(map: ReadonlyMap<unknown, unknown>, path: string, depth: number): Fill {
    const pairs = [...map].map(([key, value]): [FillKey, Fill] => {
      const shown = typeof key === "string" ? key.replace(this.words, "…") : "…";
      return [this.key(key, path), this.node(value, path === "" ? shown : `${path}.${shown}`, depth + 1)];
    });
    return valueOf => {
      const filled = new Map<string, JsonValue>();
      for (const [keyOf, fill] of pairs) {
        const key = keyOf(valueOf);
        if (filled.has(key)) throw new DuplicateKeyError(key);
        filled.set(key, fill(valueOf));
      }
      // Defines each key as the object's own, `__proto__` as well; assignment would change the prototype.
      return Object.fromEntries(filled);
    };
  }

  private key(key: unknown, path: string): FillKey {
    if (key instanceof PlainPlaceholder) {
      const placeholder = this.placeholder(key.index);
      return valueOf => String(valueOf(placeholder));
    }
    if (typeof key === "string") return this.text(key);
    this.problems.push({
      cause: `${path || "the template"} has a key that is no text`,
      cure: "put the key in quotes; a variable that is the whole value stands in two braces, not in { { } }",
    });
    return () => "";
  }

  /** A text as it is, with the values put in between. */
  private text(text: string): FillKey {
    // Splitting by an expression with one group gives text and index in turn.
    const parts = text.split(this.words);
    if (parts.length === 1) return () => text;
    const pieces = parts.map((part, position) => (position % 2 === 0 ? part : this.placeholder(Number(part))));
    return valueOf => pieces.map(piece => (typeof piece === "string" ? piece : String(valueOf(piece)))).join("");
  }

  private placeholder(index: number): Placeholder {
    const placeholder = this.all[index];
    if (placeholder === undefined) throw new RangeError(`no placeholder ${index}`);
    this.used.add(placeholder);
    return placeholder;
  }
}
