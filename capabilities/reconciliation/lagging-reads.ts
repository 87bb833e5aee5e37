import { formatKey } from "../support/model-version-key";
import type { ModelVersionKey } from "../support/model-version-key";
import type { Log } from "../observability/logging";
import type { LagResult } from "../observability/metrics";
import type { Outcome } from "./reconciler";

/**
 * Milliseconds between the looks at a version about which MLflow answers otherwise than its own event. A replica of MLflow's
 * database is usually some milliseconds behind; what is behind for longer is found by the poll.
 */
const PAUSES: readonly number[] = [250, 500, 1_000, 2_000, 4_000];

/** Versions that are looked at again at the same time; further ones are left to the poll. */
const CAPACITY = 10_000;

/** What a signed event says of the deploy tag: its value, or undefined where it was taken away. */
export interface ToldTag {
  readonly value: string | undefined;
}

export interface LaggingReadsOptions {
  /** Asks MLflow again and does what it says. */
  readonly reconcile: (key: ModelVersionKey) => Promise<Outcome>;
  readonly deployTagKey: string;
  readonly log: Log;
  /**
   * Told of each disagreement once: `caught_up` when MLflow came to answer as the event had said, `unresolved` when it did
   * not: the tag was changed once more meanwhile, or MLflow is further behind than the looks last.
   */
  readonly onEnd: (result: LagResult) => void;
  /** See {@link PAUSES}, for tests. */
  readonly pauses?: readonly number[];
}

export interface LaggingReads {
  /**
   * Compares what an event said with what MLflow answered when it was asked because of it, and looks again later where the
   * two disagree: MLflow may read from a replica of its database that is behind the primary, which the event comes from
   * (`--read-replica-backend-store-uri`). The event is never believed; it only says that looking again is worth it.
   */
  readonly compare: (key: ModelVersionKey, told: ToldTag, answered: string | undefined) => void;
  /** Ends all looks to come: the poll finds what they would have found. */
  readonly stop: () => void;
}

interface Disagreement {
  readonly told: ToldTag;
  readonly since: number;
  timer: NodeJS.Timeout;
}

export function createLaggingReads(options: LaggingReadsOptions): LaggingReads {
  const { reconcile, deployTagKey, log, onEnd, pauses = PAUSES } = options;
  const disagreements = new Map<string, Disagreement>();

  const end = (key: ModelVersionKey, disagreement: Disagreement, result: LagResult): void => {
    disagreements.delete(formatKey(key));
    onEnd(result);
    const fields = { ...key, seconds: Math.round(performance.now() - disagreement.since) / 1000 };
    if (result === "caught_up")
      log.info(fields, "MLflow's answers were behind its own event, and came to agree with it");
    // Usual: somebody changed the tag once more before the first event was looked at.
    else log.debug(fields, "MLflow does not answer as its event said; the poll looks on");
  };

  const look = async (key: ModelVersionKey, disagreement: Disagreement, next: number): Promise<void> => {
    let agrees = false;
    try {
      agrees = (await reconcile(key)).version?.tags.get(deployTagKey) === disagreement.told.value;
    } catch {
      // Told of where it failed; the next look, and then the poll, tries again.
    }
    // A later event about the version may have ended or replaced it meanwhile.
    if (disagreements.get(formatKey(key)) !== disagreement) return;
    const pause = pauses[next];
    if (agrees) end(key, disagreement, "caught_up");
    else if (pause === undefined) end(key, disagreement, "unresolved");
    else disagreement.timer = later(pause, () => look(key, disagreement, next + 1));
  };

  return {
    compare(key, told, answered) {
      const id = formatKey(key);
      const earlier = disagreements.get(id);
      clearTimeout(earlier?.timer);
      disagreements.delete(id);
      const isSame = earlier !== undefined && earlier.told.value === told.value;
      const agrees = told.value === answered;
      // Another event has overtaken the earlier one, whatever becomes of this one.
      if (earlier !== undefined && (agrees || !isSame))
        end(key, earlier, answered === earlier.told.value ? "caught_up" : "unresolved");
      const [pause] = pauses;
      if (agrees || pause === undefined || disagreements.size >= CAPACITY) return;
      const disagreement: Disagreement = {
        told,
        since: isSame ? earlier.since : performance.now(),
        timer: later(pause, () => look(key, disagreement, 1)),
      };
      disagreements.set(id, disagreement);
    },
    stop() {
      for (const { timer } of disagreements.values()) clearTimeout(timer);
      disagreements.clear();
    },
  };
}

function later(milliseconds: number, action: () => Promise<void>): NodeJS.Timeout {
  return setTimeout(() => void action(), milliseconds).unref();
}
