import type { Log } from "./logging";

/** How many lines a kind of warning may take. */
export interface WarningLimits {
  /** Lines in one interval. */
  readonly lines: number;
  /** Milliseconds. */
  readonly interval: number;
}

/**
 * Warnings that others can cause as often as they like, without flooding the log: in each interval the first lines are
 * logged, then one that says that no more follow. The first line of a later interval tells how many were left out.
 *
 * @param counted where all of them are counted, for that line
 */
export function limitWarnings(
  log: Log,
  counted: string,
  { lines, interval }: WarningLimits,
): (fields: Readonly<Record<string, unknown>>, message: string) => void {
  let begin = -Infinity;
  let told = 0;
  let leftOut = 0;
  return (fields, message) => {
    const now = performance.now();
    if (now - begin >= interval) {
      begin = now;
      told = 0;
    }
    if (told >= lines) {
      leftOut++;
      return;
    }
    told++;
    log.warn(leftOut === 0 ? fields : { ...fields, left_out_before: leftOut }, message);
    leftOut = 0;
    if (told === lines)
      log.warn(
        { seconds: interval / 1000 },
        `${message}: no more of these lines for a while; ${counted} counts them all`,
      );
  };
}
