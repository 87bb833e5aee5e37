import type { ModelVersionKey } from "../support/model-version-key";

/**
 * What one model version is in, in one word that never changes its meaning. `Starting`: it is being made, and needs nothing
 * but time. `Ready`: it serves. `Failed`: it was made and does not serve, until something changes. `Refused`: nothing is
 * made of the tag, or nothing new, because MLflow's, this module's, KServe's or the cluster's rules do not allow it.
 * `Conflict`: an InferenceService that is not ours has the name. `Waiting`: the module does nothing about it for now, and
 * the cause says what has to come first. `Stopping`: it is on its way out.
 */
export type StateWord = "Starting" | "Ready" | "Failed" | "Refused" | "Conflict" | "Waiting" | "Stopping";

/** All words, those first that a person has to act on. */
export const STATE_WORDS: readonly StateWord[] = [
  ...(["Failed", "Refused", "Conflict"] as const),
  ...(["Waiting", "Starting", "Stopping", "Ready"] as const),
];

/** The state of one version. */
export interface VersionState {
  readonly word: StateWord;
  /** Where it answers predictions; undefined when it does not, or nobody knows where. */
  readonly url?: string | undefined;
  /** Since when, in Unix milliseconds; undefined when that is not known. */
  readonly since?: number | undefined;
  /** Cause and cure, in one line without a full stop and without secrets; undefined when there is nothing to say. */
  readonly cause?: string | undefined;
}

/** A version with its state, as the page, `/services` and the tags have it. */
export interface PublishedVersion extends ModelVersionKey {
  readonly namespace: string;
  /** Name of its InferenceService; undefined where it cannot have one. */
  readonly inferenceService?: string | undefined;
  readonly state: VersionState;
}

/** One step on the way from the tag to the first answer. */
export interface ChainStep {
  readonly step: "delivery" | "apply" | "pod" | "download" | "load" | "ready";
  /** Unix milliseconds; undefined when it has not come to that. */
  readonly at?: number | undefined;
  /** What is known to have gone wrong here. */
  readonly problem?: string | undefined;
}

/** What is shown of one version beside its state. */
export interface VersionDetail extends PublishedVersion {
  readonly chain: readonly ChainStep[];
  readonly labels: Readonly<Record<string, string>>;
  /** `source` of the version in MLflow, without secrets. */
  readonly source?: string | undefined;
  readonly runId?: string | undefined;
  /** MLflow's own pages about the version and its run, where the setting MLFLOW_PUBLIC_URL says where people reach it. */
  readonly versionPage?: string | undefined;
  readonly runPage?: string | undefined;
  /** A request for a prediction, ready to copy; undefined when there is no address. */
  readonly request?: { readonly curl: string; readonly python: string } | undefined;
}

/** A change of a version's state, as the log has it. */
export interface StateChange extends ModelVersionKey {
  /** Unix milliseconds. */
  readonly at: number;
  /** undefined: it was not known, or had none. */
  readonly before: StateWord | undefined;
  readonly after: StateWord | undefined;
  readonly cause?: string | undefined;
}

/** One thing about the module itself: how it is, and what to do when that is not well. */
export interface ModuleItem {
  /** Like "Webhook" or "Last poll". */
  readonly name: string;
  readonly health: "good" | "warning" | "bad";
  /** One line. */
  readonly value: string;
  /** Cause and cure; undefined when there is nothing to do. */
  readonly advice?: string | undefined;
}

/** A series of the last hour, one value a minute, the newest last. */
export interface HourSeries {
  /** Like "success". */
  readonly name: string;
  readonly values: readonly number[];
}

/** What is shown of the module itself. */
export interface ModuleView {
  readonly items: readonly ModuleItem[];
  /** Deliveries answered in each minute, by result. */
  readonly deliveries: readonly HourSeries[];
  /** Seconds from a delivery to the acknowledged Apply, the median of each minute. */
  readonly deliverySeconds: readonly HourSeries[];
  /** Versions at the end of each minute, by state. */
  readonly states: readonly HourSeries[];
}

/** What changed between two revisions. */
export interface PublishedChange {
  readonly revision: number;
  readonly changed: readonly PublishedVersion[];
  readonly removed: readonly ModelVersionKey[];
}

/** All that the page shows, read-only. */
export interface PageSource {
  /** Whether it is known what there is: not before MLflow has been compared with the cluster for the first time. */
  readonly isComplete: () => boolean;
  /** All versions and the revision that this is; revisions of one process only grow. */
  readonly snapshot: () => { readonly revision: number; readonly versions: readonly PublishedVersion[] };
  /** What changed since a revision, as one change; undefined when that is too long ago, and a snapshot is needed. */
  readonly since: (revision: number) => PublishedChange | undefined;
  /** Tells of each change from now on. @returns what ends that */
  readonly subscribe: (listener: (change: PublishedChange) => void) => () => void;
  /** @returns undefined when there is no such version */
  readonly detail: (key: ModelVersionKey) => Promise<VersionDetail | undefined>;
  readonly moduleView: () => Promise<ModuleView>;
  /** Changes since the start of the process, the newest first; at the most some thousands. */
  readonly history: () => readonly StateChange[];
}
