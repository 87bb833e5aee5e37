import {
  boolCoreTag,
  CHOMPING_MODE,
  EVENT_ID,
  floatCoreTag,
  getScalarValue,
  intCoreTag,
  NOT_RESOLVED,
  nullCoreTag,
  SCALAR_STYLE,
  type Event,
  type ScalarEvent,
} from "js-yaml";
import { readAsYaml11, type Yaml11Scalar } from "./yaml-1.1-scalar";

/** A place of a YAML text that kubectl reads otherwise than we do, with a cause and a cure for a template's problem. */
export interface KubectlDifference {
  /** Offset into the YAML text. */
  readonly offset: number;
  readonly cause: string;
  readonly cure: string;
}

interface Scalar {
  readonly event: ScalarEvent;
  /** As it stands there: empty when it has none. */
  readonly tag: string;
  readonly value: string;
  /** For the key of a mapping, how many keys stand before it. */
  readonly keysBefore: number | undefined;
}

const KUBECTL = "kubectl, which reads YAML 1.1,";

const CORE_TAGS = [nullCoreTag, boolCoreTag, intCoreTag, floatCoreTag];

/** With these a scalar is a text for both. */
const TEXT_TAGS: readonly string[] = ["!", "!!str", "!<tag:yaml.org,2002:str>"];

/**
 * What kubectl and the API server, which read YAML 1.1 (sigs.k8s.io/yaml), make something else of than YAML 1.2, by which
 * templates are read: `defaultMode: 0400` is 256 for the one and 400 for the other, without a word from either. What
 * kubectl refuses is no such difference: it is not read wrongly anywhere.
 *
 * @param yaml a text of which these are js-yaml's events
 */
export function differencesToKubectl(yaml: string, events: readonly Event[]): KubectlDifference[] {
  const scalars = scalarsOf(yaml, events);
  return [
    ...lineBreaks(yaml),
    ...scalars.flatMap(scalar => valueDifference(scalar) ?? lateMergeKey(scalar) ?? heldColon(yaml, scalar) ?? []),
    ...openEnd(yaml, scalars.at(-1)),
  ];
}

function scalarsOf(yaml: string, events: readonly Event[]): Scalar[] {
  const scalars: Scalar[] = [];
  // For each collection around: the nodes in it up to now when it is a mapping, where keys and values take turns.
  const collections: { nodes: number | undefined }[] = [];
  for (const event of events) {
    if (event.type === EVENT_ID.POP) {
      collections.pop();
      continue;
    }
    const around = collections.at(-1);
    const nodes = around?.nodes;
    if (around !== undefined && nodes !== undefined) around.nodes = nodes + 1;
    if (event.type === EVENT_ID.SCALAR) {
      const keysBefore = nodes !== undefined && nodes % 2 === 0 ? nodes / 2 : undefined;
      const tag = event.tagStart < 0 ? "" : yaml.slice(event.tagStart, event.tagEnd);
      scalars.push({ event, tag, value: getScalarValue(yaml, event), keysBefore });
    } else if (event.type !== EVENT_ID.ALIAS) {
      collections.push({ nodes: event.type === EVENT_ID.MAPPING ? 0 : undefined });
    }
  }
  return scalars;
}

function valueDifference({ event, tag, value, keysBefore }: Scalar): KubectlDifference | undefined {
  if (isText(event, tag)) return undefined;
  const [yaml11, core] = [readAsYaml11(value), readAsCore(value)];
  if (isSame(core, yaml11)) return undefined;
  const written = [tag, event.style === SCALAR_STYLE.PLAIN ? value : JSON.stringify(value)].filter(Boolean).join(" ");
  const what = keysBefore === undefined ? written : `the key ${written}`;
  const quoted = `${JSON.stringify(value)} in quotes`;
  const isWritable = keysBefore === undefined && isSame(readAsCore(show(yaml11)), yaml11);
  return {
    offset: tag === "" ? event.valueStart : event.tagStart,
    cause: `${KUBECTL} takes ${what} for ${show(yaml11)}, and YAML 1.2 takes it for ${show(core)}`,
    cure: `write ${isWritable ? `${show(yaml11)}, or ${quoted} if the text is meant` : quoted}`,
  };
}

/** For kubectl, what a `<<` brings wins over the keys that stand before it; by the specification no key is replaced. */
function lateMergeKey({ event, tag, value, keysBefore = 0 }: Scalar): KubectlDifference | undefined {
  if (value !== "<<" || isText(event, tag) || keysBefore === 0) return undefined;
  return {
    offset: event.valueStart,
    cause: `${KUBECTL} replaces the keys that stand before << in its mapping, and YAML 1.2 does not`,
    cure: "write << as the first key, and only once: several mappings go into a list, <<: [*one, *other]",
  };
}

/** In `{a:}` and `[a:[b]]`, the colon belongs to the text for kubectl. */
function heldColon(yaml: string, { event }: Scalar): KubectlDifference | undefined {
  if (event.style !== SCALAR_STYLE.PLAIN || !/^:[,[\]{}]/.test(yaml.slice(event.valueEnd, event.valueEnd + 2))) {
    return undefined;
  }
  return {
    offset: event.valueEnd,
    cause: `${KUBECTL} takes this colon for a part of the text before it, and YAML 1.2 does not`,
    cure: "write a space after the colon",
  };
}

function lineBreaks(yaml: string): KubectlDifference[] {
  return [...yaml.matchAll(/[\u0085\u2028\u2029]/g)].map(({ 0: character, index }) => {
    const code = character.charCodeAt(0).toString(16).padStart(4, "0");
    return {
      offset: index,
      cause: `${KUBECTL} takes the character U+${code} for the end of a line, and YAML 1.2 does not`,
      cure: `end the line with a line feed, or write the character as "\\u${code}" in double quotes`,
    };
  });
}

/** A text block at the end of a template without a last line feed: YAML 1.2 puts one to the text, kubectl does not. */
function openEnd(yaml: string, last: Scalar | undefined): KubectlDifference[] {
  if (last === undefined || last.event.chomping === CHOMPING_MODE.STRIP || !/[^\n\r]$/.test(yaml)) return [];
  const { style, valueStart, valueEnd } = last.event;
  const isBlock = style === SCALAR_STYLE.LITERAL_BLOCK || style === SCALAR_STYLE.FOLDED_BLOCK;
  if (!isBlock || /[\n\r]/.test(yaml.slice(valueEnd)) || last.value === "") return [];
  return [
    {
      offset: valueStart,
      cause: `${KUBECTL} gives this text no line feed at its end, and YAML 1.2 does`,
      cure: "end the template with a line feed, or begin the text with |- or >-",
    },
  ];
}

function isText(event: ScalarEvent, tag: string): boolean {
  return tag === "" ? event.style !== SCALAR_STYLE.PLAIN : TEXT_TAGS.includes(tag);
}

function readAsCore(source: string): string | number | boolean | null {
  for (const tag of CORE_TAGS) {
    const value = tag.resolve(source, false, tag.tagName);
    if (value !== NOT_RESOLVED) return value;
  }
  return source;
}

function isSame(core: string | number | boolean | null, yaml11: Yaml11Scalar): boolean {
  // Sent is JSON, in which a large whole number is not always what was written.
  if (typeof yaml11 === "bigint") return typeof core === "number" && JSON.stringify(core) === String(yaml11);
  return core === yaml11 || (Number.isNaN(core) && Number.isNaN(yaml11));
}

function show(value: Yaml11Scalar): string {
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}
