import type { StatusTagKeys } from "./status-tags";

/** Names that a message has at the most. */
const NAMES = 5;

/** What keeps status tags from being as they should. */
export interface Unwritten {
  /** Models of whose versions MLflow lets us set none. */
  readonly denied: readonly string[];
  /** Models of whose versions MLflow lets us delete none, so that they are overwritten. */
  readonly overwritten: readonly string[];
  /** Versions where somebody's own tag has the key. */
  readonly foreign: readonly string[];
  /** Versions whose tags somebody else changes back. */
  readonly contested: readonly string[];
  /** What MLflow answered the last time, where several writings failed one after the other. */
  readonly failing: readonly string[];
}

/** One of the things that keep status tags from being as they should. */
export interface TagProblem {
  /** The same as long as it is the same thing, of however many models or versions. */
  readonly kind: keyof Unwritten;
  /** Cause and cure. */
  readonly message: string;
}

/** What is said when a thing keeps no status tags any more. */
export const PROBLEM_IS_OVER: Readonly<Record<TagProblem["kind"], string>> = {
  denied: "MLflow denies this module's user no status tags any more",
  overwritten: "No status tags have to be overwritten instead of deleted any more",
  foreign: "No version has a tag any more that this module did not write and needs",
  contested: "Nobody else changes status tags any more",
  failing: "MLflow takes status tags again",
};

/** A sentence for each thing, with cause and cure. */
export function describeUnwritten(found: Unwritten, keys: StatusTagKeys): TagProblem[] {
  const { denied, overwritten, foreign, contested, failing } = found;
  const problems: TagProblem[] = [];
  const tell = (kind: TagProblem["kind"], message: string): void => {
    if (found[kind].length > 0) problems.push({ kind, message });
  };
  tell(
    "denied",
    `MLflow does not let this module's user set tags of versions of ${namesOf(denied, "model")} (403), so nothing there says ` +
      "how they are served; serving goes on: give the user EDIT, better MANAGE, on the registered models, or set " +
      "MLFLOW_KSERVE_STATUS_TAGS=false",
  );
  tell(
    "overwritten",
    `MLflow does not let this module's user delete tags of versions of ${namesOf(overwritten, "model")} (403), so that what is ` +
      `over is overwritten (${keys.state}=Stopped): give the user MANAGE on the registered models`,
  );
  tell(
    "foreign",
    `${namesOf(foreign, "version")} already have a tag ${keys.state}, ${keys.url} or ${keys.cause} that this module did not ` +
      "write, and it is left as it is: delete it, or choose another prefix with MLFLOW_KSERVE_STATUS_TAG_PREFIX",
  );
  tell(
    "contested",
    `somebody else changes the tag ${keys.state} of ${namesOf(contested, "version")} again and again, so it is left to them: ` +
      "where two installations serve from one MLflow, give each a prefix of its own with MLFLOW_KSERVE_STATUS_TAG_PREFIX",
  );
  tell(
    "failing",
    `MLflow does not take status tags (${failing.join("; ")}), so what it says of versions is out of date; serving goes on, and each ` +
      "poll tries again: see MLflow's log",
  );
  return problems;
}

function namesOf(names: readonly string[], what: string): string {
  const shown = [...names].sort().slice(0, NAMES).join(", ");
  const more = names.length > NAMES ? `, and ${names.length - NAMES} more` : "";
  return `${names.length} ${what}${names.length === 1 ? "" : "s"} (${shown}${more})`;
}
