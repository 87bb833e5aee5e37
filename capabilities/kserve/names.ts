import { createHash } from "node:crypto";
import { formatKey, isModelVersionNumber, type ModelVersionKey } from "../support/model-version-key";

const PREFIX = "mlflow-";

// A DNS label (RFC 1123) and a Kubernetes label value both end at 63 characters.
const LABEL_LENGTH = 63;

// KServe appends the component: `-predictor`, `-explainer` or, the longest, `-transformer` (pkg/constants: *ServiceName).
const LONGEST_COMPONENT = "-transformer".length;

// What a component's name is put into next, within one label: `isvc.<component>` is the value of the label `app`
// (GetRawServiceLabel), and in Knative mode `<component>-00001` is the first revision's name.
const LONGEST_DERIVED = Math.max("isvc.".length, "-00001".length);

const HASH_DIGITS = 10;
const LOOKS_HASHED = new RegExp(`(?:^|-)[0-9a-f]{${HASH_DIGITS}}$`);
const CLEAN = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/;

// `mlflow-<hash>-v<version>`, the shortest name there is, for a version of four digits.
const FLOOR = PREFIX.length + HASH_DIGITS + "-v".length + 4;

/** The longest namespace in which every model's first 9,999 versions get a name, whatever the model is called. */
export const MAXIMUM_NAMESPACE_LENGTH = LABEL_LENGTH - LONGEST_COMPONENT - "-".length - FLOOR;

/** A model version that cannot be given a name: its version is no number, or the namespace is too long. */
export class InferenceServiceNameError extends Error {
  override readonly name = "InferenceServiceNameError";
}

/**
 * The most characters an InferenceService's name may have in this namespace, so that all that KServe 0.20 makes of it
 * is valid as well. Two limits, of which the lower counts:
 * - 45: each component `<name>-transformer` (the longest suffix) goes into the label value `isvc.<component>` and, in
 *   Knative mode, into the revision `<component>-00001`; both may have 63 characters.
 * - 50 less the namespace's length: KServe's default `domainTemplate` makes the DNS label `<component>-<namespace>`.
 *   When it is over 63 characters, KServe's controller stops with "invalid domain name" before it makes the Deployment
 *   (GenerateDomainName in reconcilers/ingress/domain.go, called by createRawURL for every component, also with
 *   `disableIngressCreation`), so the service never becomes Ready.
 */
export function maximumNameLength(namespace: string): number {
  const byLabel = LABEL_LENGTH - LONGEST_COMPONENT - LONGEST_DERIVED;
  const byHost = LABEL_LENGTH - LONGEST_COMPONENT - "-".length - namespace.length;
  return Math.min(byLabel, byHost);
}

/**
 * What is wrong with a namespace whose length leaves no room for the names of all model versions: one sentence with
 * cause and cure for the settings' validation, or undefined when all is well.
 */
export function namespaceProblem(namespace: string): string | undefined {
  return namespace.length <= MAXIMUM_NAMESPACE_LENGTH ? undefined : tooLong(namespace);
}

/**
 * The name of the InferenceService of a model version: `mlflow-<model>-v<version>`, in DNS-1035 form as KServe demands
 * (`IsvcNameFmt` in inference_service_validation.go) and at most {@link maximumNameLength} characters.
 *
 * A model name that is a DNS label already stays as it is. Any other, or one too long, becomes
 * `mlflow-<what is left of it>-<hash>-v<version>`, with 10 hex digits of the SHA-256 over the name's UTF-16 code units
 * (not UTF-8, in which all lone surrogates look the same). A clean name that ends like a hash is hashed as well, so no
 * clean name can equal a hashed one: two models share a name only if what is left of them **and** 40 bits of SHA-256 are
 * equal. For 1,000 models with equal remains the chance is about 1 in 2 million; it is not proof against somebody
 * who computes collisions on purpose, so compare `keyOf` (identity.ts) with the key before touching an existing object.
 *
 * The names of running services depend on every detail here: a change makes the listener lose sight of them.
 *
 * @throws InferenceServiceNameError when the version is no version number, or the namespace leaves no room for even the
 *   shortest form; one sentence with cause and cure.
 */
export function inferenceServiceName(key: ModelVersionKey, namespace: string): string {
  if (!isModelVersionNumber(key.version)) {
    throw new InferenceServiceNameError(
      `${formatKey(key)} cannot be served: MLflow's versions are numbers from 1 to 9999999999; tag an existing version`,
    );
  }
  const suffix = `-v${key.version}`;
  const room = maximumNameLength(namespace) - PREFIX.length - suffix.length;
  if (room < HASH_DIGITS && !isPlain(key.model, room))
    throw new InferenceServiceNameError(`${formatKey(key)} cannot be served: ${tooLong(namespace)}`);
  return nameWith(key.model, suffix, room);
}

const ENDPOINT_SUFFIX = "-endpoint";

/**
 * The name of the Service at which a model's endpoint answers: `mlflow-<model>-endpoint`, by the rules of
 * {@link inferenceServiceName} for the model's part, as a DNS label. It cannot be the name of anything that KServe makes of
 * one of our InferenceServices, since those go on after the version with the name of a component.
 */
export function endpointName(model: string): string {
  return nameWith(model, ENDPOINT_SUFFIX, LABEL_LENGTH - PREFIX.length - ENDPOINT_SUFFIX.length);
}

/** Whether a model's name can stay as it is, in so much room. */
function isPlain(model: string, room: number): boolean {
  return CLEAN.test(model) && !LOOKS_HASHED.test(model) && model.length <= room;
}

/** A name from a model's, which has so much room: enough for a hash, unless it {@link isPlain}. */
function nameWith(model: string, suffix: string, room: number): string {
  if (isPlain(model, room)) return PREFIX + model + suffix;
  const remains = trimDashes(sanitise(model).slice(0, Math.max(0, room - HASH_DIGITS - 1)));
  return PREFIX + (remains === "" ? "" : `${remains}-`) + shortHash(model) + suffix;
}

/** The same, or undefined for a version that cannot have a name; whoever has to serve it is told why by the error. */
export function possibleServiceName(key: ModelVersionKey, namespace: string): string | undefined {
  try {
    return inferenceServiceName(key, namespace);
  } catch (error) {
    if (error instanceof InferenceServiceNameError) return undefined;
    throw error;
  }
}

/** 10 hex digits (40 bits) of the SHA-256 over a text's UTF-16 code units, so that different texts have different input. */
export function shortHash(text: string): string {
  return createHash("sha256").update(Buffer.from(text, "utf16le")).digest("hex").slice(0, HASH_DIGITS);
}

/** Whether a text is or ends (after a dash) in what {@link shortHash} makes, so that it could be taken for a hashed one. */
export function looksHashed(text: string): boolean {
  return LOOKS_HASHED.test(text);
}

function sanitise(model: string): string {
  // Only ASCII is lower-cased: what Unicode's tables say changes with the Node version, and names must not.
  return trimDashes(model.replace(/[A-Z]/g, letter => letter.toLowerCase()).replace(/[^a-z0-9]+/g, "-"));
}

function trimDashes(text: string): string {
  return text.replace(/^-+|-+$/g, "");
}

function tooLong(namespace: string): string {
  return (
    `the namespace ${JSON.stringify(namespace)} has ${namespace.length} characters, and KServe joins it with the ` +
    `service's name into one DNS label of at most ${LABEL_LENGTH}; ` +
    `use a namespace of at most ${MAXIMUM_NAMESPACE_LENGTH} characters`
  );
}
