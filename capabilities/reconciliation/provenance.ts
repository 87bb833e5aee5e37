import type { RegistryRecord } from "../kserve/identity";
import type { ModelVersion } from "../mlflow/client";

/**
 * Whether an answer of MLflow's about a version is evidence about the service that was made for it:
 * - `same`: it is the registry that the version came from;
 * - `other`: it is not, so that whatever it says or does not know is no evidence;
 * - `unknown`: nobody knows where the version came from.
 */
export type Origin = "same" | "other" | "unknown";

/** The MLflow that answers now. */
export interface AnsweringRegistry {
  /** When its experiment 0 was made, in Unix milliseconds; undefined when it would not tell. */
  readonly createdAt: number | undefined;
  /** The workspace that is asked; undefined for the default one. */
  readonly workspace: string | undefined;
}

/** Whether a service's version came beyond doubt from elsewhere: another MLflow, or another workspace of the same. */
export function isElsewhere(known: RegistryRecord, { createdAt, workspace }: AnsweringRegistry): boolean {
  const { registryCreatedAt: before } = known;
  return known.workspace !== workspace || (before !== undefined && createdAt !== undefined && before !== createdAt);
}

/**
 * Compares where a service's version came from with the MLflow that answers now. A registry is known by the creation time
 * of its experiment 0, which is made with its database; another MLflow, or one that was set up anew, has another. A
 * version is known by its own creation time: MLflow gives a version's number again when the last one was deleted.
 *
 * @param known what the service records, or what this process saw itself
 * @param answer the version, undefined where MLflow says that it does not exist
 */
export function originOf(
  known: RegistryRecord | undefined,
  registry: AnsweringRegistry,
  answer: ModelVersion | undefined,
): Origin {
  if (known === undefined) return "unknown";
  const { registryCreatedAt: before, versionCreatedAt } = known;
  const isVersionKnown = answer !== undefined && versionCreatedAt !== 0 && answer.createdAt !== 0;
  // The very version, to the millisecond: what was recorded of its registry was read while the address led elsewhere.
  if (isVersionKnown && answer.createdAt === versionCreatedAt) return "same";
  if (isElsewhere(known, registry)) return "other";
  // Of the same registry: a version of the same number that is not the same one was made after the other was deleted.
  if (before !== undefined && registry.createdAt !== undefined) return "same";
  return isVersionKnown ? "other" : "unknown";
}

/** A service and what is known about the version that it was made for. */
export interface Origined {
  readonly record: RegistryRecord | undefined;
  /** Whether MLflow has this very version. */
  readonly exists: boolean;
  /** Whether MLflow has the version's run; only asked where it matters. */
  readonly hasRun: boolean;
}

/**
 * Whether the registry looks as if it had been set back to an older state, as a restored backup is: it shares its
 * creation with the registry that the services came from, and of all that came from there, the two or more newest
 * versions are missing, each with its run. A single one that is missing was deleted: nobody could tell it from a backup
 * of that minute.
 *
 * @returns the creation time from which on everything is missing; undefined when it does not look so
 */
export function setBackTo(services: readonly Origined[]): number | undefined {
  const dated = services.filter(({ record }) => record !== undefined && record.versionCreatedAt > 0);
  const created = ({ record }: Origined): number => record?.versionCreatedAt ?? 0;
  const newestThere = Math.max(0, ...dated.filter(({ exists, hasRun }) => exists || hasRun).map(created));
  const missing = dated.filter(service => created(service) > newestThere);
  return missing.length < 2 ? undefined : Math.min(...missing.map(created));
}
