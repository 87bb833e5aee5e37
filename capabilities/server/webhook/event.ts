import * as z from "zod";
import type { ToldTag } from "../../reconciliation/lagging-reads";
import type { ModelVersionKey } from "../../support/model-version-key";
import { isModelVersionNumber } from "../../support/model-version-key";
import { isTestDelivery } from "./test-delivery";

// Not zod's min() and max(): they look at the `length` of what is no text as well, and a hostile one
// (`{"length": {"toString": []}}`) makes them throw.
const nonEmpty = z.string().refine(text => text !== "", { error: "must not be empty" });

/**
 * MLflow's delivery (mlflow/webhooks/delivery.py). The timestamp is an ISO string; older descriptions of the event have
 * Unix seconds or milliseconds, and `run_id` and `experiment_id` in the data: both are accepted.
 */
const envelope = z.object({
  entity: nonEmpty,
  action: nonEmpty,
  timestamp: z.union([z.string(), z.number()]),
  data: z.record(z.string(), z.unknown()),
  /** The webhook's own; only where MLflow has workspaces. */
  workspace: z.string().optional().catch(undefined),
});

/** As mlflow/utils/workspace_utils.py calls it. */
const DEFAULT_WORKSPACE = "default";

// What is not UTF-8 is refused: read leniently, two different names would become the same.
const UTF_8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const versionNumber = z
  .union([z.string(), z.number().int().transform(String)])
  .refine(isModelVersionNumber, { error: "must be a positive whole number, as MLflow numbers versions" });

/**
 * Characters of a model's name: MLflow's databases keep 256 (SQLite does not hold to that). A longer one would make an
 * address that MLflow's server does not read.
 */
const MAXIMUM_NAME_LENGTH = 1024;

const modelName = nonEmpty
  .refine(name => name.length <= MAXIMUM_NAME_LENGTH, { error: `must have at most ${MAXIMUM_NAME_LENGTH} characters` })
  // Asking MLflow for it would ask for another: in an address there is only U+FFFD for a lone surrogate.
  .refine(name => !/\p{Surrogate}/u.test(name), { error: "must not have lone surrogates, which MLflow cannot store" });

const tagData = z.object({
  name: modelName,
  version: versionNumber,
  key: z.string(),
});

/** A version that was registered, or that an alias was set on. */
const versionData = z.object({
  name: modelName,
  version: versionNumber,
});

/** What is reacted to of all that happens in MLflow. */
export interface FollowedWords {
  readonly deployTagKey: string;
  readonly aliases: readonly string[];
}

/** One that was taken away; from which version, MLflow does not say. */
const aliasDeletedData = z.object({ name: modelName });

export type ParsedEvent =
  /** Somebody touched the deploy tag of this version, or registered it with one. Its value now, only MLflow knows. */
  | {
      readonly kind: "deploy-tag";
      readonly entity: string;
      readonly action: string;
      readonly key: ModelVersionKey;
      /** What the event says of the tag, never to be acted on; undefined where it does not say it legibly. */
      readonly told: ToldTag | undefined;
    }
  /** Somebody set, moved or took away an alias that is followed. On which version it is now, only MLflow knows. */
  | {
      readonly kind: "alias";
      readonly entity: string;
      readonly action: string;
      readonly model: string;
      /** The version that it was set on. */
      readonly version: string | undefined;
    }
  | {
      readonly kind: "ignored";
      readonly entity: string;
      readonly action: string;
      readonly reason: string;
      /** See {@link isTestDelivery}. */
      readonly isTest: boolean;
    }
  | { readonly kind: "malformed"; readonly problems: readonly string[] };

/**
 * Reads the JSON of a delivery. Never throws: what cannot be read is `malformed`, with each field's problem.
 *
 * @param followed what is reacted to: the key of the deploy tag, and aliases
 * @param ownWorkspace of MLflow's workspaces, the one whose versions are served
 */
export function parseEvent(body: Buffer, followed: FollowedWords, ownWorkspace = DEFAULT_WORKSPACE): ParsedEvent {
  const { deployTagKey, aliases } = followed;
  let json: unknown;
  try {
    json = JSON.parse(UTF_8.decode(body));
  } catch {
    return { kind: "malformed", problems: ["the body is not JSON in UTF-8"] };
  }
  const parsed = envelope.safeParse(json);
  if (!parsed.success) return { kind: "malformed", problems: problemsOf(parsed.error) };
  const { entity, action, data, workspace = ownWorkspace } = parsed.data;
  const isTest = isTestDelivery(data);
  const ignored = (reason: string): ParsedEvent => ({ kind: "ignored", entity, action, reason, isTest });
  if (workspace !== ownWorkspace) return ignored(`it is about MLflow's workspace ${workspace}, not ${ownWorkspace}`);
  const isTag = entity === "model_version_tag" && (action === "set" || action === "deleted");
  const isCreation = entity === "model_version" && action === "created";
  if (entity === "model_version_alias" && (action === "created" || action === "deleted")) {
    if (typeof data.alias !== "string" || !aliases.includes(data.alias))
      return ignored(`the alias is not ${aliases.join(" or ")}`);
    const isSet = action === "created";
    const about = (isSet ? versionData : aliasDeletedData).safeParse(data);
    if (!about.success) return { kind: "malformed", problems: ofData(about.error) };
    const { name, version }: { name: string; version?: string } = about.data;
    return { kind: "alias", entity, action, model: name, version };
  }
  if (!isTag && !isCreation) return ignored(`${entity}.${action} does not concern deployments`);
  // Other people's tags may hold anything: only a deploy tag has to be well-formed.
  if (isTag && data.key !== deployTagKey) return ignored(`the tag is not ${deployTagKey}`);
  const { tags } = data;
  if (isCreation && !hasTag(tags, deployTagKey))
    return ignored(`the version was registered without the tag ${deployTagKey}`);
  const subject = (isTag ? tagData : versionData).safeParse(data);
  if (!subject.success) return { kind: "malformed", problems: ofData(subject.error) };
  const key = { model: subject.data.name, version: subject.data.version };
  const told = hasTag(tags, deployTagKey) ? tagTold(tags[deployTagKey]) : toldBy(action, data.value);
  return { kind: "deploy-tag", entity, action, key, told };
}

type TagsByKey = Readonly<Record<string, unknown>>;

function toldBy(action: string, value: unknown): ToldTag | undefined {
  return action === "deleted" ? { value: undefined } : tagTold(value);
}

function tagTold(value: unknown): ToldTag | undefined {
  return typeof value === "string" ? { value } : undefined;
}

/** Tags given at the registration have no event of their own: MLflow tells them with the version alone. */
function hasTag(tags: unknown, key: string): tags is TagsByKey {
  return typeof tags === "object" && tags !== null && Object.hasOwn(tags, key);
}

function ofData(error: z.ZodError): string[] {
  return problemsOf(error).map(problem => `data.${problem}`);
}

function problemsOf(error: z.ZodError): string[] {
  return error.issues.map(({ path, message }) => `${path.map(String).join(".") || "the body"}: ${message}`);
}
