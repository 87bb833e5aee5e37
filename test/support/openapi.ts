import { readFileSync } from "node:fs";
import path from "node:path";
import Ajv from "ajv/dist/2020";
import type { ValidateFunction } from "ajv/dist/2020";
import addFormats from "ajv-formats";
import { load } from "js-yaml";

const FILE = path.join(__dirname, "../../docs/openapi.yaml");

/** An answer as it came. */
export interface ReceivedAnswer {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

/** What docs/openapi.yaml promises. */
export interface OpenApi {
  readonly paths: readonly string[];
  /** All that is wrong with an answer to a request of a described path; empty when nothing is. */
  problemsOf: (path: string, method: string, answer: ReceivedAnswer) => string[];
  /** All that is wrong with an error that no path describes: 404, 405, and broken HTTP. */
  problemsOfError: (answer: ReceivedAnswer) => string[];
}

type Json = Readonly<Record<string, unknown>>;

/** Reads docs/openapi.yaml. @throws Error when it is no OpenAPI 3.1 document, or one of its references leads nowhere */
export function readOpenApi(): OpenApi {
  const document = load(readFileSync(FILE, "utf8")) as Json;
  if (!String(document.openapi).startsWith("3.1.")) throw new Error("docs/openapi.yaml is not OpenAPI 3.1");
  const ajv = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true });
  addFormats(ajv);
  // The document is no schema itself, only parts of it are: what is at its top is none of a schema's keywords.
  ajv.addVocabulary(Object.keys(document));
  ajv.addSchema(document, "openapi.yaml", undefined, false);

  const at = (pointer: string): Json | undefined => {
    let found: unknown = document;
    for (const part of pointer.split("/").slice(1)) {
      if (typeof found !== "object" || found === null) return undefined;
      found = (found as Json)[part.replaceAll("~1", "/").replaceAll("~0", "~")];
    }
    return found as Json | undefined;
  };
  /** The place that something is really at, when it is only referred to here. */
  const resolved = (pointer: string): string => {
    const reference = at(pointer)?.$ref;
    return typeof reference === "string" ? resolved(reference.slice(1)) : pointer;
  };
  const validators = new Map<string, ValidateFunction>();
  const problemsAt = (pointer: string, value: unknown, what: string): string[] => {
    const validate = validators.get(pointer) ?? ajv.compile({ $ref: `openapi.yaml#${pointer}` });
    validators.set(pointer, validate);
    return validate(value)
      ? []
      : (validate.errors ?? []).map(error => `${what}${error.instancePath} ${error.message ?? ""}`);
  };

  const problemsOfResponse = (pointer: string, answer: ReceivedAnswer): string[] => {
    const headers = Object.keys(at(`${pointer}/headers`) ?? {});
    const ofHeaders = headers.flatMap(name => {
      const value = answer.headers[name.toLowerCase()];
      const place = `${resolved(`${pointer}/headers/${name}`)}/schema`;
      return value === undefined ? [`the header ${name} is missing`] : problemsAt(place, value, name);
    });
    const [type = ""] = (answer.headers["content-type"] ?? "").split(";");
    const schema = `${pointer}/content/${type.replaceAll("/", "~1")}/schema`;
    if (at(schema) === undefined) return [...ofHeaders, `the content type ${type} is not described`];
    const value: unknown = type === "application/json" ? JSON.parse(answer.text) : answer.text;
    return [...ofHeaders, ...problemsAt(schema, value, "body")];
  };

  return {
    paths: Object.keys(document.paths as Json),
    problemsOf(path, method, answer) {
      const place = `/paths/${path.replaceAll("/", "~1")}/${method.toLowerCase()}/responses/${answer.status}`;
      if (at(place) === undefined) return [`${method} ${path}: the answer ${answer.status} is not described`];
      return problemsOfResponse(resolved(place), answer);
    },
    problemsOfError: answer => problemsOfResponse("/components/responses/Error", answer),
  };
}
