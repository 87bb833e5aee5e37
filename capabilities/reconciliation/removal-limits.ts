import type { HoldReason } from "./hold-reason";

/** What counts as a mass deletion, and how long things are held. Times in milliseconds. */
export interface RemovalLimits {
  /** Part of all services (0 to 1) that one pass may remove without more ado. */
  readonly share: number;
  /** Number of services that one pass may always remove, unless they are all there are. */
  readonly count: number;
  /** Time that a suspicious removal is held. 0 holds none, but for those that another MLflow is asked about. */
  readonly hold: number;
  /** Time that a model's last Ready version waits for its successor, at the most. */
  readonly handover: number;
}

/** Held until something else comes. Without a known registry there is no evidence, however long MLflow says the same. */
const ENDLESS: ReadonlySet<HoldReason> = new Set<HoldReason>([
  ...(["other registry", "unknown to all"] as const),
  // A model that follows its aliases always has a version, if it ever had one that is Ready.
  ...(["alias is starting", "no alias"] as const),
  // The endpoint itself says when it has no more use for it.
  ...(["endpoint", "former champion"] as const),
]);

/**
 * Whether one pass would remove too many services, or all there are.
 *
 * @param size all services, those included that are to go
 * @param isExpected this process saw the tag of the only one that is to go come and go
 */
export function isMass(limits: RemovalLimits, count: number, size: number, isExpected: boolean): boolean {
  if (count === 0) return false;
  // The only service there is goes when this process saw its tag come and go; else all of them is always a mass.
  if (count >= size) return !(size === 1 && isExpected);
  return count > limits.count && count > limits.share * size;
}

/** Whether a removal that has been held for so many milliseconds for this reason need not be held any longer. */
export function isHeldEnough(limits: RemovalLimits, reason: HoldReason, milliseconds: number): boolean {
  if (ENDLESS.has(reason)) return false;
  return milliseconds >= (reason === "successor is starting" ? limits.handover : limits.hold);
}
