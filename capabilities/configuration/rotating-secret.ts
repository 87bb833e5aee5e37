import { messageOf } from "../observability/logging";
import type { Log } from "../observability/logging";

/** Characters of the webhook's secret: who may edit webhooks in MLflow can have a sample signed, and guess a short one. */
export const MINIMUM_SECRET_LENGTH = 16;

/** A secret that may be replaced while the module runs. */
export interface RotatingSecret {
  /** What a signature may be made with now: the newest, and those replaced a short time ago. */
  readonly accepted: () => readonly string[];
  /** What MLflow should sign with now. */
  readonly forMlflow: () => string;
  /** Looks whether there is a new one; otherwise done by itself again and again. */
  readonly check: () => Promise<void>;
  readonly stop: () => void;
}

export interface RotatingSecretOptions {
  readonly first: string;
  /** Reads the secret; undefined when it is not there. */
  readonly read: () => Promise<string | undefined>;
  /** Milliseconds between two readings. */
  readonly interval?: number;
  /** Milliseconds that a replaced secret stays valid: MLflow retries deliveries and caches its webhooks for a minute. */
  readonly grace?: number;
  readonly log: Log;
  /** Milliseconds on a clock that only goes forward. */
  readonly now?: () => number;
}

const INTERVAL = 15_000;
const GRACE = 600_000;

/** A secret that never changes. */
export function fixedSecret(value: string): RotatingSecret {
  return { accepted: () => [value], forMlflow: () => value, check: () => Promise.resolve(), stop: () => undefined };
}

/**
 * Follows a secret. A new one is accepted at once, but given to MLflow only two intervals later: by then every replica
 * of the module has read it, and none refuses what MLflow signs with it.
 */
export function createRotatingSecret(options: RotatingSecretOptions): RotatingSecret {
  const { first, read, interval = INTERVAL, grace = GRACE, log, now = () => performance.now() } = options;
  /** Newest first, each with the time since when it is known. The first counts as known for ever. */
  let known: readonly { readonly value: string; readonly since: number }[] = [{ value: first, since: -Infinity }];

  const check = async (): Promise<void> => {
    try {
      const value = await read();
      if (value === "") throw new Error("it is empty, and anybody can sign with nothing");
      if (value === undefined || value === known[0]?.value) return;
      if (value.length < MINIMUM_SECRET_LENGTH)
        throw new Error(`it has fewer than ${MINIMUM_SECRET_LENGTH} characters, and could be guessed`);
      const time = now();
      // What was replaced longer ago than the grace time is forgotten; the one replaced now stays for that long.
      const stillValid = known.filter((_, index) => index === 0 || replacedAt(known, index) > time - grace);
      known = [{ value, since: time }, ...stillValid.filter(entry => entry.value !== value)];
      log.info({ grace_seconds: grace / 1000 }, "Webhook secret changed, the old one stays valid for a while");
    } catch (error) {
      log.warn({ cause: messageOf(error) }, "The webhook secret could not be read again, the known one stays");
    }
  };
  const timer = setInterval(() => void check(), interval);
  timer.unref();
  return {
    accepted: () =>
      known.filter((_, index) => index === 0 || replacedAt(known, index) > now() - grace).map(({ value }) => value),
    forMlflow: () => (known.find(({ since }) => now() - since >= 2 * interval) ?? known.at(-1))?.value ?? first,
    check,
    stop: () => {
      clearInterval(timer);
    },
  };
}

/** An entry was replaced when the one before it (newer) became known. */
function replacedAt(known: readonly { readonly since: number }[], index: number): number {
  return known[index - 1]?.since ?? Infinity;
}
